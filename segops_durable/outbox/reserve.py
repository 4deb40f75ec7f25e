"""Room that is kept for deleting: on a full disk SQLite cannot even remove a row.

A delete is written to the WAL first, and a full disk has no room for that. So a file of
one MiB lies beside the outbox, and is given up when a sent batch cannot be removed. It is
not given up for an event that cannot be stored: somebody else would take the room.
"""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING

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
        self._path = path.with_name(path.name + ".reserve")

    def make(self) -> None:
        """Make the file, unless it is there, or the disk is nearly full."""
        try:
            if self._path.exists():
                return
            if shutil.disk_usage(self._path.parent).free < _COMFORT_BYTES:
                return
            fd = os.open(self._path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
            with os.fdopen(fd, "wb") as file:
                file.write(bytes(RESERVE_BYTES))  # zeros that are written: a hole keeps no room
        except OSError:
            self.give_up()  # half of it is no use; another time

    def give_up(self) -> bool:
        """Remove the file; say whether there was one."""
        try:
            self._path.unlink()
        except OSError:
            return False
        return True
