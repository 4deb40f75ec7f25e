"""The files of an import: what is read, and where the bad records of it go."""

from __future__ import annotations

import glob
import sys
from pathlib import Path, PurePosixPath
from typing import IO, TYPE_CHECKING, cast

from segops_durable.cli.interruption import terminated_in_order
from segops_durable.cli.output import say
from segops_durable.errors import ConfigurationError
from segops_durable.intake.imports import (
    is_url,
    local_path,
    open_sources,
    shown_url,
    wait_until_done,
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
    path = local_path(file) if is_url(file) else file
    if is_url(file) and path is not None and glob.has_magic(path) and not Path(path).exists():
        return open_sources(file, form, options)
    if is_awaited:
        with terminated_in_order():
            wait_until_done(file, options, lambda: _tell_of_waiting(file))
    if path is None:
        return open_sources(file, form, options)
    if not Path(path).exists():
        raise ConfigurationError(f"there is no file {path}", field="files")
    if not Path(path).is_fifo():
        real_path(Path(path).absolute())  # what root rejects of it is shown to the link's owner
    return open_sources(path, form, options)


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
