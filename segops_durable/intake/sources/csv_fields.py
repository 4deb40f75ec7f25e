"""The fields of one record of CSV, over as many lines as it takes.

It is slower than Python's reader, so it is asked only where that one gives up: at a field that
is longer than ``csv.field_size_limit``, which is the whole program's, and at quotes that do not
close on their line.
"""

from __future__ import annotations

import re
from enum import Enum, auto

_ENDS = {"\n", "\r\n", "\r"}


class _Mode(Enum):
    START = auto()  # of a field: only there a quote opens one
    PLAIN = auto()
    QUOTED = auto()
    CLOSED = auto()  # after a quote within quotes: another one is a quote itself


class Fields:
    """Takes a record apart.

    Args:
        delimiter: What is between two values.
        quote: What is around a value; None for nothing.

    Attributes:
        fed: Lines so far.
        opened: The line, from 0, in which the last field opened that is in quotes; or, once
            there is a problem, the one that has it.
        problem: What is wrong with it; None for nothing.
        is_odd: Whether a line after the first has a quote where none belongs, e.g. one that
            does not close the field which an earlier line had opened.
        count: Fields that have ended.
        keeps: Whether values are kept; it may be turned off where they have become too many.
    """

    def __init__(self, delimiter: str, quote: str | None) -> None:
        self.fed: int = 0
        self.opened: int = 0
        self.problem: str | None = None
        self.is_odd: bool = False
        self.count: int = 0
        self.keeps = True
        self._delimiter = delimiter
        self._quote = quote
        self._mode = _Mode.START
        self._field_line = 0
        self._found: list[str] = []
        self._parts: list[str] = []

    @property
    def is_open(self) -> bool:
        """Whether quotes are open, so that the next line belongs to it."""
        return self._mode is _Mode.QUOTED

    def feed(self, text: str) -> None:
        """Go on with a line, its end included, or with a part of one."""
        place = 0
        while place < len(text):
            if self._mode is _Mode.QUOTED:
                place = self._quoted(text, place)
            elif self._mode is _Mode.CLOSED:
                place = self._closed(text, place)
            elif self._mode is _Mode.START and text[place] == self._quote:
                self._open()
                place += 1
            else:
                place = self._plain(text, place)
        self.fed += 1

    def end(self) -> list[str]:
        """End the record; its values."""
        self._end_field()
        return self._found

    def _open(self) -> None:
        self._mode, self._field_line = _Mode.QUOTED, self.fed
        if self.problem is None:
            self.opened = self.fed

    def _quoted(self, text: str, place: int) -> int:
        found = text.find(self._quote or "", place)
        self._keep(text[place:] if found < 0 else text[place:found])
        if found < 0:
            return len(text)
        self._mode = _Mode.CLOSED
        return found + 1

    def _closed(self, text: str, place: int) -> int:
        if text[place] == self._quote:
            self._keep(text[place])
            self._mode = _Mode.QUOTED
        elif text[place] == self._delimiter:
            self._end_field()
        elif text[place:] in _ENDS:
            return len(text)
        else:
            self.problem = self.problem or f"{self._delimiter!r} is expected after {self._quote}"
            self.is_odd = self.is_odd or self._field_line != self.fed
            self._mode = _Mode.PLAIN
            return place
        return place + 1

    def _plain(self, text: str, place: int) -> int:
        self._mode = _Mode.PLAIN
        found = text.find(self._delimiter, place)
        if found >= 0:
            self._keep(text[place:found])
            self._end_field()
            return found + 1
        rest = text[place:].rstrip("\r\n")
        if "\r" in rest or "\n" in rest:
            self.problem = self.problem or "the end of a line is within a value"
        self._keep(rest)
        return len(text)

    def _keep(self, part: str) -> None:
        if self._mode is _Mode.PLAIN and self.fed and self._quote and self._quote in part:
            self.is_odd = True
        if self.keeps:
            self._parts.append(part)
        else:
            self._parts, self._found = [], []

    def _end_field(self) -> None:
        self._found.append("".join(self._parts))
        self._parts = []
        self.count += 1
        self._mode = _Mode.START


class Quotes:
    """Follows the quotes of a text without its values, so that delimiters cost nothing.

    Args:
        delimiter: What is between two values.
        quote: What is around a value; None for nothing.

    Attributes:
        is_open: Whether quotes are open.
    """

    def __init__(self, delimiter: str, quote: str | None) -> None:
        self.is_open: bool = False
        self._quote = quote
        self._delimiter = delimiter
        self._opening = delimiter + (quote or "")
        self._run = re.compile(f"{re.escape(quote or 'x')}+")
        self._last = delimiter  # what a field begins after
        self._is_closed = False  # at the end of the last part: another quote opens it again

    def feed(self, text: str) -> None:
        """Go on with a part of it."""
        if not self._quote or not text:
            return
        place = 0
        if not self.is_open and text[0] == self._quote:
            self.is_open = self._is_closed or self._last == self._delimiter
            place = 1
        self._is_closed = False
        while place < len(text):
            place = self._close(text, place) if self.is_open else self._open(text, place)
        self._last = text[-1]

    def _open(self, text: str, place: int) -> int:
        found = text.find(self._opening, place)
        self.is_open = found >= 0
        return found + 2 if self.is_open else len(text)

    def _close(self, text: str, place: int) -> int:
        found = text.find(self._quote or "", place)
        run = self._run.match(text, found) if found >= 0 else None
        if run is None:
            return len(text)
        self.is_open = (run.end() - found) % 2 == 0  # two of them are a quote itself
        self._is_closed = not self.is_open and run.end() == len(text)
        return run.end()
