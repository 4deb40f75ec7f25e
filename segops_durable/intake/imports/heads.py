"""The head of a file against its mapping: what cannot be meant is refused before the first row."""

from __future__ import annotations

import csv
import hashlib
import json
import zlib
from itertools import islice
from typing import TYPE_CHECKING

from segops_durable.errors import ConfigurationError, ImportStoppedError, SegOpsError
from segops_durable.intake.sources.encodings import MARK

if TYPE_CHECKING:
    from collections.abc import Generator

    from segops_durable.intake.mapping.field_map import FieldMap
    from segops_durable.intake.sources.source import Chunk, Record, Source, SourcePlace

_LOOKED_AT = 1000
_BEGINNING = 4096
_LINES = 2  # one alone may be any bad line
_BEFORE_OBJECT = f" \t\r\n\0{MARK}"  # a hole of zeros, which a crash has left, tells nothing


def check_head(source: Source, first: Chunk | None, field_map: FieldMap) -> None:
    """Refuse a source whose columns cannot be meant.

    Args:
        source: The source.
        first: Its first chunk.
        field_map: Which column is what.

    Raises:
        ConfigurationError: A column is not there, or there are two for one thing; or no line
            begins as an object does.
    """
    columns = columns_of(source, first)
    if not columns:
        _check_is_begun(source, first)
        return  # nothing has been written yet, or no object is whole: those are rejects
    try:
        field_map.check_columns(columns)
    except ConfigurationError as error:
        raise ConfigurationError(
            f"{source.name}: {error.message}", field=error.field, hint=error.hint
        ) from None


def _check_is_begun(source: Source, first: Chunk | None) -> None:
    """Refuse what is no JSON Lines at all: a mended file would begin at its end.

    All of the first chunk is looked at: good lines may come after a thousand bad ones. A part
    of a directory is what others beside it are.
    """
    if source.columns is not None or source.part or first is None or len(first.records) < _LINES:
        return
    for record in first.records:
        text = source.text(record._replace(raw=record.raw[:_BEGINNING]))
        if text.lstrip(_BEFORE_OBJECT)[:1] in {"{", ""}:
            return
    raise ConfigurationError(
        f"{source.name}: none of its first {len(first.records)} lines begins as a JSON object",
        field="format",
        hint="Say what it is: --format csv; or write only the objects, one a line",
    )


def columns_of(source: Source, first: Chunk | None) -> tuple[str, ...]:
    """The names of a source's columns; where only records tell, those of the first ones."""
    columns = source.columns
    if columns is not None:
        return columns
    found: dict[str, None] = {}
    for record in islice(first.records if first else (), _LOOKED_AT):
        found.update(dict.fromkeys(_names_of(source, record)))
    return tuple(found)


def _names_of(source: Source, record: Record) -> list[str]:
    try:
        return list(source.parse(record)[0])
    except (ValueError, RecursionError):
        return []  # it will be rejected


def fingerprint_of(source: Source, field_map: FieldMap) -> str:
    """A hash of how the records of a source are read: the mapping, the format, its options."""
    told = [field_map.fingerprint(), source.form, source.chosen()]
    return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()[:32]


def chunks_of(source: Source, start: SourcePlace) -> Generator[Chunk, None, None]:
    """Read a source from a place on; tell where it cannot be read any further.

    Args:
        source: The source.
        start: The place.

    Raises:
        ImportStoppedError: It is cut off or damaged, or cannot be meant.
        OSError: It cannot be read.
    """
    try:
        yield from source.chunks(start)
    except SegOpsError:
        raise
    except (EOFError, ValueError, csv.Error, zlib.error) as error:  # of gzip, and of pyarrow
        raise ImportStoppedError(
            f"{source.name} is cut off or damaged: {error}",
            file=source.name,
            hint="What could be read of it before is stored; get the file again",
        ) from error
