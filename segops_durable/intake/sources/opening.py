"""What a file is: which source reads it."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import IO, TYPE_CHECKING

from segops_durable.errors import ConfigurationError
from segops_durable.errors.plain_text import shown
from segops_durable.intake.sources.csv_source import Csv
from segops_durable.intake.sources.encodings import encoding_of
from segops_durable.intake.sources.file_kinds import check_is_read, is_parquet
from segops_durable.intake.sources.file_options import FileOptions
from segops_durable.intake.sources.inputs import Input
from segops_durable.intake.sources.json_heads import check_is_csv, check_is_json_lines, is_json
from segops_durable.intake.sources.json_lines import JsonLines
from segops_durable.intake.sources.parquet_source import Parquet
from segops_durable.intake.sources.partitions import partitions_of
from segops_durable.intake.sources.remote_files import RemoteFile

if TYPE_CHECKING:
    from segops_durable.intake.sources.source import Source

FORMATS = ("jsonl", "csv", "parquet")
_BY_SUFFIX = {
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "jsonl",
    ".csv": "csv",
    ".tsv": "csv",
    ".parquet": "parquet",
}
_STRANGE = (
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISBLK, "a device"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISDIR, "a directory"),
)


def open_source(
    source: str | os.PathLike[str] | IO[bytes] | RemoteFile,
    form: str | None = None,
    options: FileOptions | None = None,
) -> Source:
    """Make a source of a file's path, or of a stream of bytes.

    How it is compressed is found by its first bytes, whatever its name. A pipe that is given
    by its path is a stream.

    Args:
        source: The path, or the stream.
        form: ``jsonl``, ``csv`` or ``parquet``. Defaults to what the first bytes or the name
            say, and for a stream to ``jsonl``.
        options: How a text is to be read. Defaults to what its beginning says.

    Raises:
        ConfigurationError: The format is unknown, or cannot be read, or is another one; or it
            is no file, but e.g. a directory, for which there is `open_sources`.
        ImportStoppedError: It is so damaged that nothing can be read.
        OSError: It is not there, or cannot be read.
    """
    if form is not None and form not in FORMATS:
        problem = f"format must be one of {', '.join(FORMATS)}, got {shown(form)}"
        raise ConfigurationError(problem, field="format")
    file = _input_of(source)
    try:
        return _source_of(
            file, form, options, named=isinstance(source, str | os.PathLike | RemoteFile)
        )
    except BaseException:
        file.close()
        raise


def _source_of(
    file: Input, form: str | None, options: FileOptions | None, *, named: bool
) -> Source:
    name = file.name if named else ""
    found = _format_of(file, form, name)
    given = options or FileOptions()
    if found == "parquet":
        opened: Source = _parquet(file)
    else:
        encoding = encoding_of(file.head, given.encoding)
        head = encoding.decode_anyhow(file.head)
        if found == "jsonl":
            check_is_json_lines(head, file.name, is_stream=not name and form is None)
            opened = JsonLines(file)
        else:
            check_is_csv(head, file.name)
            opened = Csv(file, given)
        opened.encoding = encoding
    opened.partitions = partitions_of(Path(name)) if name else {}
    return opened


def _input_of(source: str | os.PathLike[str] | IO[bytes] | RemoteFile) -> Input:
    if isinstance(source, RemoteFile):
        return Input(source, None, str(source))
    if not isinstance(source, str | os.PathLike):
        if not hasattr(source, "read"):
            problem = f"source must be a path or a stream of bytes, got {shown(source)}"
            raise ConfigurationError(problem, field="source")
        return Input(None, source, "standard input")
    path = _checked_path(source)
    mode = path.stat().st_mode
    if stat.S_ISFIFO(mode):  # its writer may be gone when it is opened again
        return Input(None, path.open("rb"), str(path), is_owned=True)
    for is_it, what in _STRANGE:
        if is_it(mode):
            raise ConfigurationError(
                f"{path} is {what}, not a file", field="source", hint="- is standard input"
            )
    return Input(path, None, str(path))


def _checked_path(source: str | os.PathLike[str]) -> Path:
    try:
        path = Path(source)
        os.fsencode(path)
    except (TypeError, ValueError):
        problem = f"source must be the path of a file, got {shown(source)}"
        raise ConfigurationError(problem, field="source") from None
    return path


def _format_of(file: Input, form: str | None, name: str) -> str:
    """What it is: what its bytes say beats its name; and what somebody says has to agree."""
    if is_parquet(file.head):
        if form not in {None, "parquet"}:
            problem = f"{file.name} is a Parquet file, not {form}"
            raise ConfigurationError(problem, field="format", hint="Leave --format out")
        return "parquet"
    check_is_read(file.head, file.name)
    found = form or _by_name(Path(name)) if name or form else "jsonl"
    if found is None:
        if is_json(file.head):
            return "jsonl"
        raise ConfigurationError(
            f"the name of {name} does not say its format",
            field="format",
            hint=f"Say which: {', '.join(FORMATS)}",
        )
    return found


def _by_name(path: Path) -> str | None:
    suffixes = [suffix.lower() for suffix in reversed(path.suffixes)]
    return next((_BY_SUFFIX[each] for each in suffixes if each in _BY_SUFFIX), None)


def _parquet(file: Input) -> Parquet:
    if file.path is None or file.layers:
        where = "a stream" if file.path is None else f"within {file.layers[0]}"
        raise ConfigurationError(
            f"format parquet needs a file, not {where}",
            field="format",
            hint="It is read from its end: save it as a file, unpacked",
        )
    if file.head and not is_parquet(file.head):
        raise ConfigurationError(
            f"{file.name} is no Parquet file: it does not begin with PAR1",
            field="format",
            hint=f"If it is another format, say which: {', '.join(FORMATS)}",
        )
    return Parquet(file)
