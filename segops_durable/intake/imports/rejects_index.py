"""What a file of rejects has, read once: of ten thousand files that share it each would read it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable, Mapping


class RejectsIndex:
    """Where in a file of rejects the last lines of each import are.

    It holds for the file as it was then: whoever else writes to it makes it another.
    """

    def __init__(self) -> None:
        self._file: tuple[int, ...] | None = None
        self._last_lines: dict[str, int] = {}
        self._starts: dict[str, int] = {}  # of lines that an earlier version wrote, by the source
        self._torn = -1

    def is_of(self, found: os.stat_result) -> bool:
        """Whether it is that of a file as it is now."""
        return self._file == _which(found)

    def read(
        self, found: os.stat_result, lines: Iterable[tuple[int, Mapping[str, Any] | None]]
    ) -> None:
        """Begin anew.

        Args:
            found: The file.
            lines: Where each line begins, and what it says; None if nothing.
        """
        self._file = None
        self._last_lines.clear()
        self._starts.clear()
        self._torn = -1
        for start, document in lines:
            if document is None:
                self._torn = start
            elif "import" in document:
                self._add(document)
            else:
                self._starts[str(document.get("file"))] = start
        self._file = _which(found)

    def add(self, documents: Iterable[Mapping[str, Any]], found: os.stat_result) -> None:
        """Know of lines that were just written by this process."""
        for each in documents:
            self._add(each)
        self._file = _which(found)

    def has(self, identity: str) -> bool:
        """Whether there is any line of an import."""
        return identity in self._last_lines

    def has_after(self, size: int, source: str, identity: str, last_line: int) -> bool:
        """Whether there may be lines of an import that it wrote behind its place.

        Args:
            size: Of the file at the place.
            source: The name of the file that they are from.
            identity: What that import is called.
            last_line: The last line of the source before the place.
        """
        return (
            self._torn >= size
            or self._starts.get(source, -1) >= size
            or self._last_lines.get(identity, last_line) > last_line
        )

    def _add(self, document: Mapping[str, Any]) -> None:
        identity, line = str(document.get("import")), document.get("line")
        if isinstance(line, int):
            self._last_lines[identity] = max(line, self._last_lines.get(identity, line))
        else:
            self._last_lines.setdefault(identity, 0)


def _which(found: os.stat_result) -> tuple[int, ...]:
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns
