"""A directory as one import: what Spark, Hive and their like have written, part by part.

Each part has its place, under its own name and that of the directory: so each is imported once,
also if parts are added later, or the directory is moved; and two of the same content are two.
"""

from __future__ import annotations

import glob
import os
import threading
from pathlib import Path
from typing import TYPE_CHECKING

from segops_durable.errors import ConfigurationError
from segops_durable.intake.sources.dataset_rules import (
    SUCCESS,
    TABLES,
    UNFINISHED,
    is_left_out,
    make_part,
    no_table,
    not_done,
)
from segops_durable.intake.sources.opening import open_source
from segops_durable.intake.sources.partitions import partition_parents
from segops_durable.intake.sources.remote import is_url_done, open_url
from segops_durable.intake.sources.remote_names import is_url, local_path

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import IO

    from segops_durable.intake.sources.file_options import FileOptions
    from segops_durable.intake.sources.source import Source

_LOOK_SECONDS = 1.0
_URL_LOOK_SECONDS = 5.0


def open_sources(
    source: str | os.PathLike[str] | IO[bytes],
    file_format: str | None = None,
    file_options: FileOptions | None = None,
) -> list[Source]:
    """Make sources of a file, a stream or a directory: of that one for each part.

    `Importer` looks at each, and stores what is in it.

    A directory has to hold ``_SUCCESS``, which its writer leaves when it is done. Its parts are
    in order of their names; those that begin with ``_`` or ``.`` are none. A URL may be of a
    file, a directory, or, with ``*``, of several.

    Args:
        source: The path, a URL that fsspec knows (``s3://…``), or the stream.
        file_format: ``jsonl``, ``csv`` or ``parquet``. Defaults to what the name says.
        file_options: How a text is written, where its beginning does not say it. Defaults to
            what that says.

    Raises:
        ConfigurationError: The format is unknown, or an extra is missing; or the directory is
            not done, or is a table whose log says which of its files count.
        OSError: It is not there, or cannot be read.
    """
    if isinstance(source, str) and is_url(source):
        path = local_path(source)
        if path is None:
            return open_url(source, file_format, file_options)
        paths = _matching(path)
        return [each for found in paths for each in _of_path(found, file_format, file_options)]
    return _of_path(source, file_format, file_options)


def _of_path(
    source: str | os.PathLike[str] | IO[bytes],
    file_format: str | None,
    file_options: FileOptions | None,
) -> list[Source]:
    if not isinstance(source, str | os.PathLike) or not os.path.isdir(source):  # noqa: PTH112 - of any text
        return [open_source(source, file_format, file_options)]
    directory = Path(source)
    _check_is_no_table(directory)
    is_whole = file_options is None or not file_options.allow_incomplete
    if is_whole and not is_done(directory):
        raise not_done(directory)
    return [_part(each, directory, file_format, file_options) for each in _parts_of(directory)]


def is_done(directory: Path) -> bool:
    """Whether its writer has said so, in it or in the table that it is a partition of."""
    if (directory / UNFINISHED).exists():
        return False  # somebody appends to it
    return any((each / SUCCESS).exists() for each in (directory, *partition_parents(directory)))


def wait_until_done(source: str, options: FileOptions, on_waiting: Callable[[], object]) -> None:
    """Wait until a file is there, or a directory is done.

    Args:
        source: Its path, or its URL.
        options: As for `open_sources`.
        on_waiting: Called once, if there is something to wait for.

    Raises:
        ImportStoppedError: What is at the URL cannot be reached.
    """
    path = local_path(source) if is_url(source) else source

    def is_whole() -> bool:
        return is_url_done(source, options) if path is None else _is_whole(Path(path))

    if is_whole():
        return
    on_waiting()
    pause = threading.Event()
    while not is_whole():
        pause.wait(_URL_LOOK_SECONDS if path is None else _LOOK_SECONDS)


def _is_whole(path: Path) -> bool:
    return path.exists() and (not path.is_dir() or is_done(path))


def _matching(path: str) -> list[str]:
    """The paths of a pattern, in order; itself if it is none."""
    if Path(path).exists() or not glob.has_magic(path):
        return [path]
    found = sorted(glob.glob(path, recursive=True))  # noqa: PTH207 - of a path that is absolute
    if not found:
        raise ConfigurationError(f"there is no file {path}", field="source")
    return found


def _check_is_no_table(directory: Path) -> None:
    for mark, what in TABLES:
        if (directory / mark).exists():
            raise no_table(directory, what)


def _parts_of(directory: Path) -> list[Path]:
    """Its files, in order of their names, through directories that are links as well."""
    found: list[Path] = []
    seen: set[tuple[int, int]] = set()
    for place, below, names in os.walk(directory, followlinks=True, onerror=_raise):
        status = os.stat(place)  # noqa: PTH116 - os.walk gives texts
        if (status.st_dev, status.st_ino) in seen:
            raise ConfigurationError(
                f"{place} is in {directory} more than once, by a link", field="source"
            )
        seen.add((status.st_dev, status.st_ino))
        below[:] = [name for name in below if not is_left_out(name)]
        found += [Path(place, name) for name in names if not is_left_out(name)]
    return sorted(found, key=lambda each: each.relative_to(directory).as_posix())


def _check_is_file(path: Path) -> None:
    if not path.is_file():  # a pipe would be waited for, until somebody writes into it
        raise ConfigurationError(f"{path} is no file", field="source", hint="Take it away")


def _part(path: Path, directory: Path, form: str | None, options: FileOptions | None) -> Source:
    _check_is_file(path)
    source = open_source(path, form, options)
    part = path.relative_to(directory).as_posix()
    return make_part(source, str(directory), directory.absolute().name, part)


def _raise(error: OSError) -> None:
    raise error
