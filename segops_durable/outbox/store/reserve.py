"""Room that is kept for deleting: on a full disk SQLite cannot even remove a row.

A delete is written to the WAL first, and a full disk has no room for that. So a file of
one MiB lies beside the outbox, and is given up when a sent batch cannot be removed. It is
not given up for an event that cannot be stored: somebody else would take the room.
"""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING

from segops_durable.errors import StorageError
from segops_durable.system.private_files import make_private

if TYPE_CHECKING:
    from pathlib import Path

RESERVE_BYTES = 1 << 20
_COMFORT_BYTES = 2 * RESERVE_BYTES


class Reserve:
    """The file that can be given up.

    Args:
        path: The outbox file.
    """

    def __init__(self, path: Path) -> None:
        self._outbox_path = path
        self._path = reserve_path(path)

    def make(self) -> None:
        """Make the file, unless it is there, or the disk is nearly full."""
        try:
            if self._path.is_file() and not self._path.is_symlink():
                return
            if shutil.disk_usage(self._path.parent).free < _COMFORT_BYTES:
                return
            with os.fdopen(make_private(self._path, like=self._outbox_path), "wb") as file:
                file.write(bytes(RESERVE_BYTES))  # zeros that are written: a hole keeps no room
        except (OSError, StorageError):
            self.give_up()  # half of it is no use, nor is a link; another time

    def give_up(self) -> bool:
        """Remove the file; say whether there was one."""
        try:
            self._path.unlink()
        except OSError:
            return False
        return True


def reserve_path(outbox_path: Path) -> Path:
    """Where the reserve of an outbox is: beside it."""
    return outbox_path.with_name(outbox_path.name + ".reserve")
