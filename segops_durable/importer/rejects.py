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
        source: The name of the file that they are from.
    """

    def __init__(self, path: Path | None, source: str) -> None:
        self._source = source
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
        """Take away what this source has written after a mark, if it was in this very file."""
        path, size = mark
        if self._path is None or str(self._path) != path or self.mark()[1] <= size:
            return
        with self._path.open("r+b") as file:
            file.seek(size)
            others = [line for line in file if self._is_of_another(line)]
            file.seek(size)
            file.writelines(others)
            file.truncate()

    def _is_of_another(self, line: bytes) -> bool:
        try:
            return bool(json.loads(line)["file"] != self._source)
        except (KeyError, TypeError, ValueError):  # torn, when it was killed
            return False
