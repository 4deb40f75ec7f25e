"""Records of CSV, each by itself: a bad one costs itself, and is bounded while it is read.

1. A record over several lines is one if its quotes close, within so many lines.
2. A quote that closes nowhere, or in the midst of what are rows by themselves, is a stray one:
   the line where it opened is a bad record, and reading goes on with the next line.
3. What is a record but for its length, or a mistake within one line, is one bad record as a
   whole: its inside is never taken for rows.

4. What has more lines than a record may have is one only if they, or the last, are no rows: of
   two stray quotes with thousands of rows between them each costs its own line.

For 2 and 4 lines have to be read ahead; no more than `_AHEAD` times what a line may have are
held, and no more than `_AHEAD_LINES`, which short ones would take more memory than their bytes.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, NamedTuple

from segops_durable.intake.sources.bad_record import BadRecord
from segops_durable.intake.sources.csv_fields import Fields, Quotes
from segops_durable.intake.sources.csv_lines import SingleLines
from segops_durable.intake.sources.encodings import MARK

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import IO

    from segops_durable.intake.sources.csv_dialect import Dialect

_SHOWN = 1 << 10
_AHEAD = 4
_AHEAD_LINES = 1 << 18


class _Line(NamedTuple):
    data: bytes  # of one that is too long, the beginning
    size: int
    is_ended: bool
    is_whole: bool = True
    is_open: bool = False  # whether one that is too long ends within quotes


class CsvRecords:
    """Reads records from a place on.

    Args:
        stream: Where from.
        dialect: How they are written.
        columns: How many columns the header has; 0 if nobody knows.
        offset: Bytes of the text before the place.
        line: Lines before the place.

    Attributes:
        offset: Bytes of the text up to the end of the last record.
        line: Lines up to there.
        first_line: The first line of the last record.
        is_ended: Whether the last record ends with a line's end.
        columns: How many columns the header has.
    """

    def __init__(
        self,
        stream: IO[bytes],
        dialect: Dialect,
        columns: int = 0,
        offset: int = 0,
        line: int = 0,
    ) -> None:
        self.offset: int = offset
        self.line: int = line
        self.first_line: int = line + 1
        self.is_ended: bool = True
        self.columns = columns
        self._stream = dialect.encoding.lines(stream)
        self._dialect = dialect
        self._single = SingleLines(dialect)
        self._ahead: deque[_Line] = deque()
        self._taken: list[_Line] = []  # the lines of the last record

    @property
    def raw(self) -> bytes:
        """The very bytes of the last record; of one that is too long, the beginning."""
        data = b"".join(line.data for line in self._taken)
        is_kept = self._taken[0].is_whole and len(data) <= self._dialect.longest
        return data if is_kept else data[:_SHOWN]

    def __iter__(self) -> Iterator[list[str] | BadRecord]:
        """Yield the records, to the end; blank lines are none."""
        while (line := self._ahead.popleft() if self._ahead else self._read()) is not None:
            self.first_line = self.line + 1
            self._taken = [line]
            record = self._record(line)
            self.offset += sum(line.size for line in self._taken)
            self.line += len(self._taken)
            self.is_ended = self._taken[-1].is_ended
            if record:
                yield record

    def _record(self, line: _Line) -> list[str] | BadRecord:
        if not line.is_whole:
            return self._long(line)
        try:
            text = self._dialect.encoding.decode(line.data)
        except ValueError as error:
            return self._bad(str(error), line)
        if "\0" in text:
            return self._bad("zero bytes, which no text has: a hole in the file?", line)
        row = self._single.values(text.removeprefix(MARK))
        return self._difficult(line) if row is None else row

    def _difficult(self, first: _Line) -> list[str] | BadRecord:
        """A record of several lines, or none."""
        fields, lines, problem = self._follow(first)
        problem = problem or fields.problem
        if self._is_ended_in(fields, lines):
            self._take(len(lines))
            is_near = len(lines) <= self._dialect.most_lines
            if problem is None and is_near and fields.keeps:
                return fields.end()
            return self._bad(problem or self._too_long(lines), first)
        self._take(fields.opened + 1)
        return self._bad(problem or self._unclosed(fields, lines), first)

    def _is_ended_in(self, fields: Fields, lines: Sequence[_Line]) -> bool:
        """Whether these lines are one record, good or bad, and not rows after a stray quote."""
        if fields.is_open or fields.fed < len(lines):
            return False
        is_fit = fields.count + 1 == self.columns or not self.columns
        is_far = len(lines) > self._dialect.most_lines
        is_doubtful = is_far or fields.is_odd or not is_fit
        if is_doubtful:
            after = [each.data for each in lines[1:]]
            single, columns = self._single, self.columns
            if is_far and fields.is_odd and single.are_mostly_rows(after[:-1], columns):
                return False
            if single.are_rows(after, columns, is_odd=fields.is_odd):
                return False
        return is_fit or not is_far

    def _follow(self, first: _Line) -> tuple[Fields, list[_Line], str | None]:
        """Read on to the end of a record, as far as it may be away."""
        fields = Fields(self._dialect.delimiter, self._dialect.quote)
        lines, held, line = [first], 0, first
        while True:
            try:
                text = self._dialect.encoding.decode(line.data)
            except ValueError as error:
                return fields, lines, str(error)
            fields.feed(text.removeprefix(MARK) if line is first else text)
            held += line.size
            is_near = len(lines) <= self._dialect.most_lines and held <= self._dialect.longest
            fields.keeps = fields.keeps and is_near
            if not fields.is_open or self._is_too_far(len(lines), held):
                return fields, lines, None
            following = self._look(len(lines) - 1)
            if following is None or not following.is_whole:
                return fields, lines, None
            line = following
            lines.append(line)

    def _long(self, line: _Line) -> BadRecord:
        """A line that is too long; what its quotes reach to belongs to it."""
        if line.is_open:
            quotes = Quotes(self._dialect.delimiter, self._dialect.quote)
            quotes.feed(self._dialect.quote or "")
            count = held = 0
            while quotes.is_open and not self._is_too_far(count, held):
                following = self._look(count)
                if following is None:
                    break
                count += 1
                held += following.size
                quotes.feed(self._dialect.encoding.decode_anyhow(following.data))
            self._take(1 if quotes.is_open else count + 1)
        return self._bad(f"a record is longer than {self._dialect.longest} bytes", line)

    def _is_too_far(self, lines: int, held: int) -> bool:
        """Whether no more may be read ahead: many short lines take far more than their bytes."""
        most = max(_AHEAD_LINES, self._dialect.most_lines)
        return lines > most or held > _AHEAD * self._dialect.longest

    def _too_long(self, lines: Sequence[_Line]) -> str:
        if len(lines) > self._dialect.most_lines:
            most = self._dialect.most_lines
            return f"a record of {len(lines)} lines: {most} are allowed (--max-record-lines)"
        return f"a record is longer than {self._dialect.longest} bytes"

    def _unclosed(self, fields: Fields, lines: Sequence[_Line]) -> str:
        where = self.first_line + fields.opened
        if self._look(len(lines) - 1) is None:
            return f"the quote that opens in line {where} is not closed up to the end of the file"
        count = min(len(lines), self._dialect.most_lines)
        return f"the quote that opens in line {where} closes no value within {count} lines"

    def _bad(self, reason: str, line: _Line) -> BadRecord:
        return BadRecord(reason, self._dialect.encoding.decode_anyhow(line.data[:_SHOWN]))

    def _take(self, count: int) -> None:
        """Make so many lines the record, of which the first is already."""
        while len(self._taken) < count:
            self._taken.append(self._ahead.popleft())

    def _look(self, place: int) -> _Line | None:
        """A line that comes, without taking it."""
        while len(self._ahead) <= place:
            line = self._read()
            if line is None:
                return None
            self._ahead.append(line)
        return self._ahead[place]

    def _read(self) -> _Line | None:
        newline, longest = self._dialect.encoding.newline, self._dialect.longest
        data = self._stream.readline(longest + len(newline))
        if not data:
            return None
        if data.endswith(newline) or len(data) <= longest:
            return _Line(data, len(data), data.endswith(newline))
        return self._pass_over(data)

    def _pass_over(self, data: bytes) -> _Line:
        """Read to the end of a line without keeping it, and follow its quotes."""
        dialect = self._dialect
        quotes = Quotes(dialect.delimiter, dialect.quote)
        start, size = data[:_SHOWN], 0
        while data:
            size += len(data)
            quotes.feed(dialect.encoding.decode_anyhow(data))
            if data.endswith(dialect.encoding.newline):
                break
            data = self._stream.readline(dialect.longest)
        return _Line(start, size, bool(data), is_whole=False, is_open=quotes.is_open)
