"""The file of what was rejected: written before the place after it is, and cut back to that.

Each line has all that it takes to import its record again once it is mended: the record as it
was, what it is read by, and what the import and the record are called, so that none is
stored twice.
"""

from __future__ import annotations

import base64
import json
import os
from typing import IO, TYPE_CHECKING, Any

from segops_durable.errors.plain_text import json_text
from segops_durable.intake.imports.mend_marks import marks
from segops_durable.intake.imports.rejects_index import RejectsIndex
from segops_durable.intake.sources.bad_record import BadRecord
from segops_durable.intake.sources.lines import SHOWN_BYTES, Line
from segops_durable.system.private_files import open_private, replacing
from segops_durable.system.trusted_paths import real_path

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from segops_durable.intake.sources.showing import ShownRow
    from segops_durable.intake.sources.source import Record, Source


def reject(
    source: Source,
    record: Record,
    reason: str,
    row: ShownRow | None,
    *,
    identity: str,
    mapping: str,
) -> dict[str, Any]:
    """What is written of a record.

    Args:
        source: Where it is from.
        record: The record.
        reason: Why it was rejected.
        row: Its values, where it has no text.
        identity: What the import is called.
        mapping: A hash of what its columns were taken for.
    """
    document: dict[str, Any] = {
        "file": source.name,
        "line": record.line,
        "last_line": record.last_line,
        "reason": reason,
    }
    if row is not None:
        document["values"] = row.values
    else:
        document.update(_written(source, record.raw or source.text(record).encode()))
        if _is_cut(record):
            document["is_cut"] = True
    told = {"import": identity, "mapping": mapping, "format": source.form}
    document = {**document, **told, **source.dialect()}
    return {**document, **marks(document, () if row is None else row.unreadable)}


class Rejects:
    """Bad records, as JSON Lines.

    Args:
        path: Where they go; None to count them only.
        source: The name of the file that they are from.
        index: What is in it, where other files share it. Defaults to what is read anew.
    """

    def __init__(self, path: Path | None, source: str, index: RejectsIndex | None = None) -> None:
        self._source = source
        self._index = index or RejectsIndex()
        self._path = None if path is None else path.absolute()

    def append(self, bad: Sequence[dict[str, Any]]) -> None:
        """Write records down; they are on disk when this returns.

        They are what people do, so the file is made 0600.

        Raises:
            StorageError: What is there is no file of ours: a link, a pipe, a stranger's.
            OSError: It cannot be written.
        """
        if self._path is None or not bad:
            return
        with os.fdopen(open_private(_place_of(self._path)), "r+b") as file:
            is_known = self._index.is_of(os.fstat(file.fileno()))
            end = file.seek(0, os.SEEK_END)
            if end:  # an editor may have left the last line without an end
                file.seek(end - 1)
                file.write(b"" if file.read(1) == b"\n" else b"\n")
            file.writelines(_line(each) for each in bad)
            file.flush()
            os.fsync(file.fileno())
            if is_known:
                self._index.add(bad, os.fstat(file.fileno()))

    def mark(self) -> tuple[str, int]:
        """The file and its size, to come back to."""
        if self._path is None:
            return "", 0
        return str(self._path), self._path.stat().st_size if self._path.exists() else 0

    def return_to(self, mark: tuple[str, int], identity: str, last_line: int) -> None:
        """Take away what an import has written after its place, if it was in this very file.

        The file may have been mended since, and so be of any size.

        Args:
            mark: As `mark` has noted it with the place.
            identity: What that import is called here.
            last_line: The last line of the source before the place.
        """
        path, size = mark
        if self._path is None or str(self._path) != path or not self._path.exists():
            return
        if self.mark()[1] == size:
            return
        if not self._read_index().has_after(size, self._source, identity, last_line):
            return

        def is_settled(start: int, document: dict[str, Any] | None) -> bool:
            if document is None:
                return start < size  # torn, when it was killed; or being mended by somebody
            if "import" not in document and start >= size:  # as an earlier version wrote it
                return document.get("file") != self._source
            is_ours = document.get("import") == identity
            return not is_ours or _number(document.get("line")) <= last_line

        self._keep(is_settled)

    def remove(self, identity: str) -> None:
        """Take away what an import has written that is begun anew."""
        is_there = self._path is not None and identity and self._path.exists()
        if is_there and self._read_index().has(identity):
            self._keep(lambda _, found: found is None or found.get("import") != identity)

    def cut_back(self, ends: Mapping[str, int]) -> None:
        """Take away what was written at the places of imports, or after them.

        Args:
            ends: The line that is read next, by what the import is called here.
        """
        if self._path is None or not self._path.exists():
            return
        torn = _torn_from(self._path)

        def is_settled(start: int, document: dict[str, Any] | None) -> bool:
            if document is None:
                return start < torn  # being mended by somebody
            end = ends.get(str(document.get("import")))
            return end is None or _number(document.get("line")) < end

        self._keep(is_settled)

    def _read_index(self) -> RejectsIndex:
        """What is in the file now; it is read if somebody else has written."""
        if self._path is not None:
            with os.fdopen(open_private(_place_of(self._path)), "rb") as file:
                found = os.fstat(file.fileno())
                if not self._index.is_of(found):
                    lines = ((start, document) for start, _, document in _documents(file))
                    self._index.read(found, lines)
        return self._index

    def _keep(self, is_kept: Any) -> None:  # noqa: ANN401 - a callable of two
        if self._path is None:
            return
        with os.fdopen(open_private(_place_of(self._path)), "rb") as file:
            if all(is_kept(start, found) for start, _, found in _documents(file)):
                return
            file.seek(0)
            with replacing(self._path) as other:  # whole, or not at all
                other.writelines(
                    line for start, line, found in _documents(file) if is_kept(start, found)
                )


def _documents(file: IO[bytes]) -> Iterator[tuple[int, bytes, dict[str, Any] | None]]:
    start = 0
    for line in file:
        try:
            document = {} if line.isspace() else json.loads(line)
        except (ValueError, RecursionError):
            document = None
        yield start, line, document if isinstance(document, dict) else None
        start += len(line)


def _torn_from(path: Path) -> int:
    """Where the last line of a file begins that has no end; the file's size if it has one."""
    with os.fdopen(open_private(_place_of(path)), "rb") as file:
        start = size = 0
        for line in file:
            start, size = size, size + len(line)
            if not line.endswith(b"\n"):
                return start
    return size


def _is_cut(record: Record) -> bool:
    """Whether only the beginning of a record was kept, as it is too long."""
    if isinstance(record.value, Line):
        return not record.value.is_whole
    return isinstance(record.value, BadRecord) and not 0 < len(record.raw) < SHOWN_BYTES


def _written(source: Source, raw: bytes) -> dict[str, str]:
    """A record as text, where it is one in its file's encoding; or else its very bytes."""
    try:
        return {"record": source.encoding.decode(raw)}
    except ValueError:
        return {"record_base64": base64.b64encode(raw).decode()}


def _number(value: object) -> int:
    return value if isinstance(value, int) else 0


def _place_of(path: Path) -> Path:
    """Where a file is, by a directory that may be a link: root does not follow a stranger's."""
    return real_path(path.parent) / path.name


def _line(record: dict[str, Any]) -> bytes:
    return f"{json_text(record)}\n".encode()
