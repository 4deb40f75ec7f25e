"""How the text of a file is written, where somebody has to say so."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from segops_durable.errors import ConfigurationError
from segops_durable.errors.plain_text import shown
from segops_durable.intake.sources.encodings import encoding_of

if TYPE_CHECKING:
    from collections.abc import Mapping

_CALLED = {"tab": "\t", "\\t": "\t", "comma": ",", "semicolon": ";", "bar": "|", "pipe": "|"}
_MOST_LINES = 1000


@dataclass(frozen=True, kw_only=True)
class FileOptions:
    r"""How a file is to be read, where somebody has to say so.

    Attributes:
        delimiter: What is between two values of CSV, one character; ``tab`` or ``\t`` is one
            as well. Defaults to what the header and the first record are best divided by:
            comma, semicolon, tab or bar.
        quote: What is around a value of CSV, one character, doubled within one; an empty
            text, or ``none``, where nothing is. Defaults to ``"``.
        encoding: How letters are written, by the name that Python has for it. Defaults to
            what a byte order mark says, or the zeros of UTF-16 and UTF-32, or UTF-8.
        max_record_lines: Lines that a record of CSV may span; if a quote is not closed up to
            there, the line where it opened is rejected. Defaults to 1000.
        allow_incomplete: Take the files of a directory that are there, though it has no
            ``_SUCCESS``. Defaults to False.
        storage_options: What fsspec makes the file system of a URL with; never shown or
            stored. Defaults to None: what its package finds by itself, as in the environment.

    Raises:
        ConfigurationError: One of them cannot be.
    """

    delimiter: str | None = None
    quote: str = '"'
    encoding: str | None = None
    max_record_lines: int = _MOST_LINES
    allow_incomplete: bool = False
    storage_options: Mapping[str, Any] | None = field(default=None, repr=False, compare=False)

    def __post_init__(self) -> None:
        if self.delimiter is not None:
            object.__setattr__(self, "delimiter", _CALLED.get(self.delimiter, self.delimiter))
            _check_character("delimiter", self.delimiter)
        if self.quote == "none":
            object.__setattr__(self, "quote", "")
        if self.quote != "":
            _check_character("quote", self.quote)
            if self.quote == self.delimiter:
                raise ConfigurationError("quote and delimiter are the same", field="quote")
        if self.encoding is not None:
            encoding_of(b"", self.encoding)
        lines: object = self.max_record_lines
        if isinstance(lines, bool) or not isinstance(lines, int) or lines < 1:
            problem = f"max_record_lines must be at least 1, got {shown(lines)}"
            raise ConfigurationError(problem, field="max_record_lines")


def _check_character(name: str, value: object) -> None:
    if not isinstance(value, str) or not re.fullmatch(r"[^\r\n\0]", value):
        problem = f"{name} must be one character, and no end of a line, got {shown(value)}"
        raise ConfigurationError(problem, field=name)
