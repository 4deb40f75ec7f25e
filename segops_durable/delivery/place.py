"""The place of the one process that sends, and hearing those that do not."""

from __future__ import annotations

from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING

from segops_durable.delivery.gate import Gate
from segops_durable.system.worker import Worker

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable

    from segops_durable.outbox import Outbox
    from segops_durable.system.knocks import Ear


class Place:
    """Held by one process at a time. For the sender's thread.

    While it is held a thread of its own hears the knocks of the others (`knocking`). Where that
    cannot be had, they are not heard, and nothing else is different.

    Args:
        outbox: Whose sender this is.
        interval: How long an event waits here for others at most, in seconds.
        stop: Set where this process is to send no more.

    Attributes:
        is_new: Whether it was taken, and whoever took it has not seen to that yet.
        on_knock: Called on that thread with what each knock says.
        on_taken: Called whenever it was taken.
        gate: Says whether anything may be sent at all.
        sends: Whether this process ever takes it. Defaults to True.
    """

    def __init__(self, outbox: Outbox, interval: float, stop: threading.Event) -> None:
        self._lock = outbox.sender_lock
        self._interval = interval
        self._stop = stop
        self._was_taken = False
        self.is_new: bool = True
        self.on_knock: Callable[[str], object] | None = None
        self.gate: Gate = Gate()
        self.sends: bool = True
        self.on_taken: Callable[[], object] = lambda: None

    @property
    def is_kept(self) -> bool:
        """Whether it was taken here, and has not been taken away since."""
        return self._was_taken and self._lock.is_held

    @property
    def must_end(self) -> bool:
        """Whether no further batch may be sent: this process stops, or another one sends.

        Or the application has said so meanwhile.
        """
        return self._stop.is_set() or not self.is_kept or not self.gate.is_still_open()

    def take(self) -> bool:
        """Take the place, or keep it; say whether this process has it.

        Raises:
            StorageError: What is where the lock belongs is no file of ours.
            OSError: It cannot be opened.
        """
        if not self.sends:
            return False
        was_kept = self.is_kept
        self.is_new = self.is_new or not was_kept
        self._was_taken = self._lock.try_acquire()
        if self._was_taken and not was_kept:
            self.on_taken()
        if not self._was_taken:
            self._lock.release()  # of one that was taken away the ear is still there
        elif self.on_knock is not None and (ear := self._lock.listen(self._interval)) is not None:
            try:
                Worker("segops-ear", partial(_hear, ear, self.on_knock)).start()
            except RuntimeError:  # no thread is to be had
                ear.end()
                ear.close()
        return self._was_taken

    @property
    def is_deserted(self) -> bool:
        """Whether no process sends, this one never."""
        return not self.sends and not self._lock.is_taken

    def give_up(self) -> None:
        """Let another process have it. Safe to call when this one has not."""
        self._was_taken = False
        self._lock.release()


def _hear(ear: Ear, react: Callable[[str], object]) -> None:
    try:
        while (said := ear.hear()) is not None:
            with suppress(MemoryError):
                react(said)
    finally:
        ear.close()
