"""The lock of the one sender among all processes, and the note that it leaves in its file."""

from __future__ import annotations

import json
import os
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from segops_durable.system.filelock import FileLock
from segops_durable.system.knocks import Ear, Knock
from segops_durable.system.locks import BoundedLock
from segops_durable.system.private_files import open_private

if TYPE_CHECKING:
    from pathlib import Path

_LONGEST_NOTE = 1 << 16
_ATTEMPTS = 5
_GATE_SECONDS = 1.0
_EAR, _EVERY, _RATE = "ear", "every", "rate"
"""Entries of the note that are for other processes alone: where it hears them, its interval, and
how fast it sends, from which the next one goes on."""

_OTHERS = {_EAR, _EVERY, _RATE}


class SenderLock:
    """A lock that one process at a time holds; the kernel frees it when that one dies.

    From one that holds it and hears nothing, stopped as it may be, it can be taken away: its file
    loses its name to another one. Whoever holds it looks at that before it sends a batch.

    Args:
        outbox_path: The outbox file; the lock is beside it.
    """

    def __init__(self, outbox_path: Path) -> None:
        self._outbox_path = outbox_path
        self._path = outbox_path.with_name(outbox_path.name + ".sender")
        self._lock: FileLock | None = None
        self._ear: Ear | None = None
        self._note: dict[str, Any] = {}
        # reentrant: a signal handler may interrupt one use with another, or with a fork
        self._guard = _lock()

    @property
    def is_held(self) -> bool:
        """Whether this process still has the lock that it took."""
        lock = self._lock
        return lock is not None and not lock.is_lost and lock.is_named

    @property
    def is_taken(self) -> bool:
        """Whether any process has the lock. It is tried only where none is found to hear."""
        with self._guard.turn:
            if self._lock is not None:
                return True
            found = self.knock()
            try:
                return (found is not None and found[1].is_there) or self._is_taken()
            finally:
                if found is not None:
                    found[1].close()

    def try_acquire(self) -> bool:
        """Take the lock, or keep it; say whether this process has it.

        Raises:
            StorageError: What is there is no file of ours.
            OSError: It cannot be opened.
        """
        with self._guard.turn:
            if self.is_held:
                return True
            if self._lock is not None:
                self._lock.close()
                self._lock = None
            for _ in range(_ATTEMPTS):
                lock = FileLock(self._path, like=self._outbox_path)
                if not lock.try_acquire():
                    lock.close()
                    return False
                if lock.is_named:
                    self._lock = lock
                    if isinstance(rate := self._read_note().get(_RATE), dict):
                        self._note[_RATE] = rate  # of whoever sent before
                    if self._ear is not None:
                        self._write_note(lock)
                    return True
                lock.close()  # it lost its name between: another one is to be locked
            return False

    def release(self) -> None:
        """Let another process send. Safe to call when this one does not."""
        with self._guard.turn:
            self._let_go()

    def listen(self, interval: float) -> Ear | None:
        """Be found by other processes from now on; None where that cannot be, or is so already.

        Args:
            interval: How long an event waits here for others at most.

        Returns:
            Where they are heard; whoever hears them closes it, once it has ended.
        """
        with self._guard.turn:
            if self._lock is None or (self._ear is not None and self._ear.is_open):
                return None
            try:
                self._ear = Ear()
            except OSError:
                return None
            self._note = {**self._note, _EAR: self._ear.address, _EVERY: interval}
            self._write_note(self._lock)
            return self._ear

    def leave_note(self, note: dict[str, Any]) -> None:
        """Leave a note for other processes, if this one has the lock; it may be lost."""
        with self._guard.turn:
            kept = {name: self._note[name] for name in _OTHERS if name in self._note}
            self._note = {**note, **kept}
            if self._lock is not None:
                self._write_note(self._lock)

    def leave_rate(self, rate: dict[str, Any]) -> None:
        """Note how fast this process sends, if it has the lock; it may be lost."""
        with self._guard.turn:
            if self._lock is not None:
                self._note[_RATE] = rate
                self._write_note(self._lock)

    def rate(self) -> dict[str, Any] | None:
        """How fast the process that sends does so, or did, whoever has the lock now."""
        with self._guard.turn:
            found = self._note if self._lock is not None else self._read_note()
        rate = found.get(_RATE)
        return rate if isinstance(rate, dict) else None

    def note(self) -> dict[str, Any] | None:
        """What the process that sends says of itself; None if nobody sends."""
        with self._guard.turn:
            if self._lock is None and not self._is_taken():
                return None
        found = self._read_note()
        return {name: value for name, value in found.items() if name not in _OTHERS}

    def knock(self, *, slower_than: float = 0.0) -> tuple[str, Knock] | None:
        """What to knock with at the process that sends, and at which address.

        Args:
            slower_than: Not at one whose events wait no longer than that. Defaults to any.

        Returns:
            None if there is none that hears, as far as is known.
        """
        note = self._read_note()
        address, every = note.get(_EAR), note.get(_EVERY)
        if not isinstance(address, str) or not isinstance(every, (int, float)):
            return None
        if slower_than and every <= slower_than:
            return None
        try:
            return address, Knock(address)
        except (ValueError, OSError):
            return None

    def take_away(self, address: str) -> int | None:
        """Take the lock away from the process that is to hear at an address; it is anybody's then.

        Returns:
            That process, if it was done.

        Raises:
            StorageError: What is there is no file of ours.
            OSError: It cannot be done.
        """
        gate_path = self._outbox_path.with_name(self._outbox_path.name + ".lock")
        gate = FileLock(gate_path, like=self._outbox_path)  # of several one may do it, and once
        try:
            if not gate.acquire(_GATE_SECONDS):  # or it is stopped within a commit
                return None
            note = self._read_note()
            if note.get(_EAR) != address:
                return None
            self._path.unlink()
            with self._guard.turn:
                if self._lock is None and isinstance(rate := note.get(_RATE), dict):
                    self._note[_RATE] = rate  # the new file has none, and this one may send next
            return int(note["pid"])
        finally:
            gate.close()

    def before_fork(self) -> None:
        """Keep everyone out, so that no other thread holds the guard in the child."""
        self._guard.acquire()

    def after_fork_in_parent(self) -> None:
        """Go on."""
        self._guard.release()

    def after_fork_in_child(self) -> None:
        """Start without the lock: it stayed with the parent, and so did those who hear."""
        self._guard = _lock()
        self._note = {}  # the parent's state, and where the parent hears
        if self._ear is not None:
            self._ear.close()
            self._ear = None
        self.release()

    def _let_go(self) -> None:
        if self._ear is not None:
            self._ear.end()
            self._ear = None
            self._note.pop(_EAR, None)
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def _write_note(self, lock: FileLock) -> None:
        # on a full disk sending is what makes room: it must not wait for a note that others read
        with suppress(OSError):
            lock.write(json.dumps({"pid": os.getpid(), **self._note}).encode())

    def _read_note(self) -> dict[str, Any]:
        if not self._path.exists():  # nobody has sent yet: a file is not made to be read
            return {}
        try:
            with os.fdopen(open_private(self._path, like=self._outbox_path), "rb") as file:
                text = file.read(_LONGEST_NOTE).decode().lstrip()
            # who was killed as it wrote may have left the end of a longer note behind its own
            note, _ = json.JSONDecoder().raw_decode(text)
        except (OSError, ValueError, RecursionError):  # it is just being written, or never was
            return {}
        return note if isinstance(note, dict) else {}

    def _is_taken(self) -> bool:
        if not self._path.exists():
            return False
        lock = FileLock(self._path, like=self._outbox_path)
        try:
            return not lock.try_acquire()
        finally:
            lock.close()


def _lock() -> BoundedLock:
    """A lock that is held for as long as others may wait for it: what is done then is bounded."""
    return BoundedLock(threading.TIMEOUT_MAX)
