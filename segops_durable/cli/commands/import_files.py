"""The files of an import: what is read, and where the bad records of it go."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import IO, TYPE_CHECKING, cast

from segops_durable.cli.output import say
from segops_durable.errors import ConfigurationError
from segops_durable.intake.imports import open_sources, wait_until_done
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
    if is_awaited:
        wait_until_done(Path(file), lambda: say(f"Waiting until {file} is there whole", err=True))
    if not Path(file).exists():
        raise ConfigurationError(f"there is no file {file}", field="files")
    if not Path(file).is_fifo():
        real_path(Path(file).absolute())  # what root rejects of it is shown to the link's owner
    return open_sources(file, form, options)


def rejects_file(source: Source, given: str | None) -> Path:
    """Where bad records of a source go: as it is said, or beside it."""
    if given is not None:
        return Path(given)
    place = source.directory or source.path
    return Path(f"{'stdin' if place is None else place}.rejects.jsonl")
