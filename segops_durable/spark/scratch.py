"""Scratch space: where the lanes of a machine are, who has one, and when it is cleared away.

`scratch`/query/batch/partition has a lane. What a query is called becomes a hash, with the address
of SegOps: a stream that is started again for another one finds none of the old lanes.
"""

from __future__ import annotations

import shutil
import time
import uuid
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from segops_durable.errors import StorageError
from segops_durable.system.filelock import FileLock
from segops_durable.system.private_files import make_private_directory

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from segops_durable.spark.place import Place

_SPACE = uuid.UUID("6c2a3f0e-53f1-4d43-9a0e-5b8c1b0f3c77")
_KEPT_SECONDS = 7 * 86_400.0
_DONE = "done"
_STEP_SECONDS = 5.0


def uuid_of(place: Place) -> str:
    """The first part of a lane's keys: of its query, batch and partition, and nothing else."""
    return str(uuid.uuid5(_SPACE, f"{place.partition} {place.batch} {place.query}"))


class Scratch:
    """The lanes of a query on this machine.

    Args:
        root: The directory for all queries.
        api_url: Where they send to.
        query: Which query.
    """

    def __init__(self, root: Path, api_url: str, query: str) -> None:
        self._root = root
        self.path: Path = root / str(uuid.uuid5(_SPACE, f"{api_url} {query}"))

    def lane(self, place: Place) -> Path:
        """The directory of a lane."""
        return self.path / str(place.batch) / str(place.partition)

    def pace(self, place: Place) -> Path:
        """Where a lane has the time of its last request, whichever batch it was of."""
        return self.path / f"pace-{place.partition}"

    @contextmanager
    def held(self, place: Place, seconds: float) -> Iterator[Path]:
        """Have a lane for oneself: an attempt that Spark has given up may still be in it.

        Args:
            place: Which.
            seconds: To wait for it at most.

        Raises:
            StorageError: Another attempt still has it.
        """
        directory = self.lane(place)
        make_private_directory(self._root)
        make_private_directory(directory.parent)
        lock = self._locked(directory.with_suffix(".lock"), time.monotonic() + seconds)
        if lock is None:
            raise StorageError(
                f"another attempt still has the lane {directory}",
                path=str(directory),
                hint="It ends with its request; Spark tries this one again",
            )
        try:
            yield directory
        finally:
            lock.close()

    @staticmethod
    def note_done(directory: Path) -> None:
        """Note that all of a lane is delivered: it may be cleared away when it is old."""
        (directory / _DONE).touch(mode=0o600)

    def remove(self) -> None:
        """Remove all that a query has here."""
        _remove(self.path)

    def remove_before(self, batch: int) -> None:
        """Remove what batches before one have left: Spark has noted that they are committed."""
        for each in _listed(self.path):
            if each.name.isdigit() and int(each.name) < batch:
                _remove(each)

    def sweep(self) -> None:
        """Remove lanes of any query that were delivered a week ago, and never cleared away.

        The commit is on another machine. What has anything to deliver is never touched.
        """
        oldest = time.time() - _KEPT_SECONDS
        for query in _listed(self._root):
            if query == self.path:
                continue
            lanes = [each for each in query.glob("*/*") if each.is_dir()]
            if all(_is_older(each / _DONE, oldest) for each in lanes) and _is_older(query, oldest):
                _remove(query)

    @staticmethod
    def _locked(path: Path, deadline: float) -> FileLock | None:
        while True:
            lock = FileLock(path)
            if lock.acquire(min(_STEP_SECONDS, max(0.0, deadline - time.monotonic()))):
                if lock.is_named:
                    return lock
            elif time.monotonic() >= deadline:
                lock.close()
                return None
            lock.close()  # it was cleared away between, or is to be waited for


def _is_older(path: Path, oldest: float) -> bool:
    try:
        return path.stat().st_mtime < oldest
    except OSError:
        return False


def _listed(directory: Path) -> list[Path]:
    try:
        return sorted(directory.iterdir())
    except OSError:
        return []


def _remove(directory: Path) -> None:
    with suppress(OSError):  # another task does it, too; what is left is swept later
        shutil.rmtree(directory)
