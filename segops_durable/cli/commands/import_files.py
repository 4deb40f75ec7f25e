"""The files of an import: what is read, and where the bad records of it go."""

from __future__ import annotations

import glob
import sys
from pathlib import Path, PurePosixPath
from typing import IO, TYPE_CHECKING, cast

from segops_durable.cli.output import say
from segops_durable.errors import ConfigurationError
from segops_durable.intake.imports import (
    is_url,
    local_path,
    open_sources,
    shown_url,
    wait_until_done,
    wait_until_url_is_done,
)
from segops_durable.system.trusted_paths import real_path

if TYPE_CHECKING:
    from segops_durable.intake.imports import FileOptions, Source


def opened_sources(
    file: str, form: str | None, options: FileOptions, *, is_awaited: bool
) -> list[Source]:
    """Open what a FILE is: itself, the parts of a directory, or standard input.

    Args:
        file: Its name; ``-`` is standard input.
        form: Its format; None for what it says itself.
        options: How it is read.
        is_awaited: Whether to wait until a directory is there whole.

    Raises:
        ConfigurationError: There is none, or it cannot be meant.
        StorageError: It leads, with root's rights, to what is not its owner's.
    """
    if file == "-":
        return open_sources(cast("IO[bytes]", sys.stdin.buffer), form, options)
    if is_url(file) and local_path(file) is None:
        if is_awaited:
            wait_until_url_is_done(file, options, lambda: _tell_of_waiting(file))
        return open_sources(file, form, options)
    path = local_path(file) if is_url(file) else None
    if path is not None:
        if glob.has_magic(path) and not Path(path).exists():
            return open_sources(file, form, options)
        file = path
    if is_awaited:
        wait_until_done(Path(file), lambda: _tell_of_waiting(file))
    if not Path(file).exists():
        raise ConfigurationError(f"there is no file {file}", field="files")
    if not Path(file).is_fifo():
        real_path(Path(file).absolute())  # what root rejects of it is shown to the link's owner
    return open_sources(file, form, options)


def rejects_file(source: Source, given: str | None) -> Path:
    """Where bad records of a source go: as it is said, or beside it."""
    if given is not None:
        return Path(given)
    if source.path is not None and not isinstance(source.path, Path):  # at a URL
        shown = source.directory or str(source.path)
        return Path(f"{PurePosixPath(shown.removesuffix('?…')).name}.rejects.jsonl")
    place = source.directory or source.path
    return Path(f"{'stdin' if place is None else place}.rejects.jsonl")


def _tell_of_waiting(file: str) -> None:
    say(f"Waiting until {shown_url(file)} is there whole", err=True)
