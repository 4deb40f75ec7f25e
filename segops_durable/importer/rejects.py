"""The file of what was rejected: written before the place after it is, and cut back to that."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


class Rejects:
    """Bad records, as JSON Lines with ``file``, ``line``, ``reason`` and ``record``.

    Args:
        path: Where they go; None to count them only.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = None if path is None else path.absolute()

    def append(self, bad: Sequence[dict[str, Any]]) -> None:
        """Write records down; they are on disk when this returns."""
        if self._path is None or not bad:
            return
        with self._path.open("a", encoding="utf-8", errors="replace") as file:
            file.writelines(json.dumps(each, ensure_ascii=False) + "\n" for each in bad)
            file.flush()
            os.fsync(file.fileno())

    def mark(self) -> tuple[str, int]:
        """The file and its size, to come back to."""
        if self._path is None:
            return "", 0
        return str(self._path), self._path.stat().st_size if self._path.exists() else 0

    def return_to(self, mark: tuple[str, int]) -> None:
        """Take away what was written after a mark, if it was in this very file."""
        path, size = mark
        if self._path is not None and str(self._path) == path and self.mark()[1] > size:
            os.truncate(self._path, size)
