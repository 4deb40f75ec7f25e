"""Lines of CSV, each taken by itself: which of them are records, whatever is around them."""

from __future__ import annotations

import csv
from typing import TYPE_CHECKING

from segops_durable.intake.sources.csv_fields import Fields, Quotes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from segops_durable.intake.sources.csv_dialect import Dialect


class SingleLines:
    """Takes lines apart as if each were a record.

    Args:
        dialect: How they are written.
    """

    def __init__(self, dialect: Dialect) -> None:
        self._dialect = dialect

    def values(self, text: str) -> list[str] | None:
        """The values of a line that is a record by itself; None if it is not so simple."""
        quote = self._dialect.quote
        if quote is not None and quote in text:
            reader = csv.reader(
                (text,), delimiter=self._dialect.delimiter, quotechar=quote, strict=True
            )
            try:
                return next(reader)
            except csv.Error:
                return None
        body = text.rstrip("\r\n")
        if "\r" in body or "\n" in body:
            return None
        return body.split(self._dialect.delimiter) if body else []

    def are_rows(self, lines: Sequence[bytes], columns: int, *, is_odd: bool) -> bool:
        """Whether lines are rows by themselves, most and the last, so that no quote is around."""
        fitting = self._fitting(lines, columns)
        if is_odd and fitting and self._is_opening(lines[-1]):
            fitting[-1] = True  # it closes nothing: a stray quote as well
        return bool(fitting) and fitting[-1] and 2 * sum(fitting) >= len(fitting)

    def are_mostly_rows(self, lines: Sequence[bytes], columns: int) -> bool:
        """Whether lines are rows by themselves; under one column any text would be."""
        fitting = self._fitting(lines, columns) if columns > 1 else []
        return bool(fitting) and 2 * sum(fitting) >= len(fitting)

    def _fitting(self, lines: Sequence[bytes], columns: int) -> list[bool]:
        """Of each line that is not blank, whether by itself it has the header's columns."""
        texts = (self._dialect.encoding.decode_anyhow(line) for line in lines)
        return [self._is_fit(text, columns) for text in texts if text.strip()]

    def _is_fit(self, text: str, columns: int) -> bool:
        row = self.values(text)
        if row is not None:
            return len(row) == columns
        fields = Fields(self._dialect.delimiter, self._dialect.quote)
        fields.feed(text)
        return fields.count + 1 == columns

    def _is_opening(self, line: bytes) -> bool:
        """Whether a line by itself ends within quotes."""
        quotes = Quotes(self._dialect.delimiter, self._dialect.quote)
        quotes.feed(self._dialect.encoding.decode_anyhow(line))
        return quotes.is_open
