"""Putting a new file in the place of an outbox, in such a way that it may end at any instant.

1. The new file is built beside the outbox, under a name of its own, and is on disk, with a
   note that says that it is complete and which file it was made of.
2. Whoever saw the old file at its path a moment ago goes on in it without another look, for as
   long as `LOOK_SECONDS`. So long is waited, behind the gate, before anything is moved.
3. The old log is moved away. It must never lie beside the new file: SQLite would read it.
4. The old file is moved away, and the new one takes its place.

So at each instant either the old file is at its path, or the new one is there, or is complete
beside it; and whoever opens the outbox next goes on from there. Until the old file is moved
away a process that has it open may go on in it, if whoever moves was killed: so the note says
what was in the old file and its log, and where that has changed, the new file is built anew.
"""

from __future__ import annotations

import sqlite3
import threading
import time
from contextlib import closing
from typing import TYPE_CHECKING

from segops_durable.outbox.disk.files import (
    check_database,
    companions,
    digest_of,
    make_private_file,
)
from segops_durable.outbox.records.incidents import Incident, noted_incidents
from segops_durable.system.private_files import make_private_directory, sync_directory
from segops_durable.system.trusted_paths import check_replaceable

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from segops_durable.outbox.store.event_queue import EventQueue


LOOK_SECONDS = 0.02
"""How long a file that has a name is taken for the one that is at the path."""


class Replacing:
    """Builds new files for one outbox, and puts them in its place. Behind the write gate.

    Args:
        path: The outbox file.
        open_queue: Opens an outbox file.
    """

    def __init__(self, path: Path, open_queue: Callable[[Path], EventQueue]) -> None:
        self._path = path
        self._open_queue = open_queue
        self._new = new_file_of(path)

    def aside(self) -> str:
        """A name for the old file that nothing has yet."""
        stamp = time.strftime("%Y%m%dT%H%M%S", time.gmtime())
        name, count = f"{self._path.name}.damaged-{stamp}", 0
        while any(each.exists() for each in _with_companions(self._path.with_name(name))):
            count += 1
            name = f"{self._path.name}.damaged-{stamp}-{count}"
        return name

    def replace(self, fill: Callable[[Path], None], incident: Incident) -> None:
        """Build a new file, and put it in the outbox's place.

        Args:
            fill: Makes a complete outbox at a path, with the incident noted in it.
            incident: What has happened.

        Raises:
            StorageError: The old one is of another user, who could not open the new one.
            sqlite3.Error: It cannot be built.
            OSError: It cannot be moved.
        """
        is_there = self._path.exists()
        if is_there:
            check_replaceable(self._path)
        make_private_directory(self._path.parent)
        self._remove_new()
        make_private_file(self._new, like=self._path if is_there else None)
        fill(self._new)
        self._move(incident)

    def digest(self) -> str:
        """What is in the old file and its log."""
        log, _ = companions(self._path)
        return digest_of(self._path, log)

    def finish(self) -> None:
        """Go on where somebody was interrupted; what was not complete begins anew.

        Raises:
            StorageError: What is there is no file of ours.
            OSError: It cannot be moved.
        """
        if not self._new.exists():
            return
        check_database(self._new)
        noted = self._noted()
        for each in noted:
            if self._is_of_what_is_here(each):
                self._move(each)
                return
        for each in noted:
            self._return_log(each)
        self._remove_new()

    def _noted(self) -> list[Incident]:
        """What is noted in a new file that is complete, and was not told yet; the newest first."""
        try:
            # what a killed process had committed to its log goes into the file
            with closing(self._open_queue(self._new)) as queue:
                found = [each for each in noted_incidents(queue.writer) if not each.is_told]
        except sqlite3.DatabaseError:
            return []
        return found[::-1]

    def _is_of_what_is_here(self, noted: Incident) -> bool:
        if not self._path.exists():
            return True
        logs = (companions(each)[0] for each in (self._path, self._path.with_name(noted.aside)))
        return any(digest_of(self._path, log) == noted.digest for log in logs)

    def _return_log(self, noted: Incident) -> None:
        """Let the old file have its log again: somebody has written to it since it was moved."""
        aside = self._path.with_name(noted.aside)
        if aside.exists():
            return
        for old, new in zip(companions(self._path), companions(aside), strict=True):
            if new.exists() and not old.exists():
                new.replace(old)
        sync_directory(self._path.parent)

    def _move(self, incident: Incident) -> None:
        if any(each.exists() for each in companions(self._new)):
            raise sqlite3.OperationalError("unable to open the new file: its log is still there")
        aside = self._path.with_name(incident.aside)
        sync_directory(self._path.parent)
        threading.Event().wait(2 * LOOK_SECONDS)  # what they store would stay in the old file
        for old, new in zip(companions(self._path), companions(aside), strict=True):
            if old.exists():
                old.replace(new)
        sync_directory(self._path.parent)
        if self._path.exists():
            self._path.replace(aside)
        self._new.replace(self._path)
        sync_directory(self._path.parent)

    def _remove_new(self) -> None:
        # the file last: killed between the two, its log alone would be left, which nobody looks
        # for, and which SQLite would play into the next new file
        for each in (*companions(self._new), self._new):
            each.unlink(missing_ok=True)


def new_file_of(path: Path) -> Path:
    """Where a new file for the outbox at a path is built."""
    return path.with_name(path.name + ".salvage")


def _with_companions(path: Path) -> tuple[Path, ...]:
    return (path, *companions(path))
