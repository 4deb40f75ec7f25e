"""How CSV is written, and how much of it may be one record."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from segops_durable.intake.sources.encodings import Encoding


@dataclass(frozen=True)
class Dialect:
    """How values are told from each other.

    Attributes:
        delimiter: What is between two of them.
        quote: What may be around one; None for nothing.
        encoding: How letters are written.
        most_lines: Lines of a record at most.
        longest: Bytes of a record at most.
    """

    delimiter: str
    quote: str | None
    encoding: Encoding
    most_lines: int
    longest: int
