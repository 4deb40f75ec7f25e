"""Files of rejects, to import what was mended in them.

A record is known by the import that rejected it and by its line, whatever it says now. So a
file of rejects may be mended and imported as often as one likes: what is stored is passed over,
and what is still bad is told of and stays in the file.
"""

from __future__ import annotations

import base64
import io
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from segops_durable.errors import ConfigurationError
from segops_durable.intake.imports.mend_marks import check_is_mended
from segops_durable.intake.sources.file_options import FileOptions
from segops_durable.intake.sources.lines import LONGEST_LINE, bounded_lines, pages
from segops_durable.intake.sources.opening import FORMATS, open_source
from segops_durable.intake.sources.source import BEGINNING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from segops_durable.intake.sources.source import Record, Source

PREFIX = "rejects:"
_ROWS, _BYTES = 1000, 1 << 20
_LONGEST = 2 * LONGEST_LINE  # a record, with what was escaped in it


@dataclass(frozen=True)
class Mended:
    """A line of a file of rejects.

    Attributes:
        number: Its number in that file.
        identity: The import that rejected the record.
        file: The file that the record is of.
        line: The record's line there.
        document: All of it.
    """

    number: int
    identity: str
    file: str
    line: int
    document: dict[str, Any]


class Reread(NamedTuple):
    """A record as its own source reads it.

    Attributes:
        source: What parses it.
        record: The record.
    """

    source: Source
    record: Record


def mended_of(path: Path, mapping: str) -> Iterator[list[Mended]]:
    """Read a file of rejects, some lines of one import at a time.

    Args:
        path: The file.
        mapping: A hash of what columns are taken for.

    Raises:
        ConfigurationError: It is none, or was written by an earlier version, or by an import
            with another mapping.
        OSError: It cannot be read.
    """
    number = 0
    with path.open("rb") as file:
        for page in pages(bounded_lines(file, _LONGEST), _ROWS, _BYTES):
            found: list[Mended] = []
            for line in page:
                number += 1
                if line.data.isspace():
                    continue
                each = _read(path, number, line.data)
                _check_mapping(path, each, mapping)
                if found and found[-1].identity != each.identity:
                    yield found
                    found = []
                found.append(each)
            if found:
                yield found


def reread(mended: Mended) -> Reread:
    """Read a record anew.

    Raises:
        ValueError: It is not mended, or not one record, or not all of it is there.
    """
    document = mended.document
    check_is_mended(document)
    if document.get("is_cut"):
        raise ValueError(
            "only the beginning of the record is here: put all of it in, and take is_cut out"
        )
    if "values" in document:
        values = document["values"]
        if not isinstance(values, dict):
            raise ValueError("values must be an object")
        data, form = json.dumps(values).encode(), "jsonl"
    else:
        data, form = _data_of(document), document["format"]
    if form == "parquet":
        raise ValueError("the values of this record could not be read: there is nothing to mend")
    options = FileOptions()
    if form == "csv":
        options = _options_of(document)
        data = _header_of(document, options) + data
    source = open_source(io.BytesIO(data.rstrip(b"\r\n") + b"\n"), form, options)
    partitions = document.get("partitions")
    source.partitions = partitions if isinstance(partitions, dict) else {}
    records = [each for chunk in source.chunks(BEGINNING) for each in chunk.records]
    if len(records) != 1:
        raise ValueError(f"{len(records)} records, where one was")
    return Reread(source, records[0])


def _data_of(document: dict[str, Any]) -> bytes:
    text = document.get("record")
    if isinstance(text, str):
        return text.encode("utf-8", "surrogatepass")
    try:
        return base64.b64decode(document["record_base64"], validate=True)
    except (KeyError, TypeError, ValueError):
        raise ValueError("there is neither a text `record` nor a `record_base64`") from None


def _options_of(document: dict[str, Any]) -> FileOptions:
    """How the record is written: as its file was, but with as many lines as it has."""
    delimiter, quote = document.get("delimiter"), document.get("quote")
    if not isinstance(delimiter, str) or not isinstance(quote, str):
        raise ValueError("there is no `delimiter` or `quote`, which say how it is written")  # noqa: TRY004 - of the text, not a type
    return FileOptions(delimiter=delimiter, quote=quote, encoding="utf-8", max_record_lines=_BYTES)


def _header_of(document: dict[str, Any], options: FileOptions) -> bytes:
    header, quote = document.get("header"), options.quote
    if not isinstance(header, list) or not all(isinstance(each, str) for each in header):
        raise ValueError("there is no `header`, which says what the values are")
    names = [
        f"{quote}{each.replace(quote, quote * 2) if quote else each}{quote}" for each in header
    ]
    return f"{(options.delimiter or ',').join(names)}\n".encode()


def _read(path: Path, number: int, data: bytes) -> Mended:
    try:
        document = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise _no_rejects(path, number, f"no JSON, {error}") from None
    if not isinstance(document, dict) or document.get("format") not in FORMATS:
        raise _no_rejects(path, number, "no record that an import has rejected")
    identity, line = document.get("import"), document.get("line")
    is_known = isinstance(identity, str) and identity and isinstance(line, int)
    if not is_known or isinstance(line, bool):
        raise _no_rejects(path, number, "without `import` and `line`, which say what it is of")
    return Mended(number, str(identity), str(document.get("file")), int(str(line)), document)


def _check_mapping(path: Path, mended: Mended, mapping: str) -> None:
    """Refuse another mapping: a time whose column is not named would be that of the import."""
    if mended.document.get("mapping", mapping) != mapping:
        raise ConfigurationError(
            f"{path}, line {mended.number}: was rejected by an import with another mapping",
            field="rejected",
            hint="Give the same --map, --const, --type and other options as then; or, if others "
            "are meant, take `mapping` out of the lines",
        )


def _no_rejects(path: Path, number: int, problem: str) -> ConfigurationError:
    return ConfigurationError(
        f"{path}, line {number}: {problem}",
        field="rejected",
        hint="Mend the record in its line, and leave the rest of the line as it was written",
    )
