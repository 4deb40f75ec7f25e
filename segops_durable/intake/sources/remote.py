"""Sources at URLs: a file, a pattern of files, or a directory as Spark and Hive have written it."""

from __future__ import annotations

from pathlib import PurePosixPath
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
from segops_durable.intake.sources.file_options import FileOptions
from segops_durable.intake.sources.opening import open_source
from segops_durable.intake.sources.partitions import partition_parents
from segops_durable.intake.sources.remote_files import RemoteFile
from segops_durable.intake.sources.remote_storage import Storage

if TYPE_CHECKING:
    from segops_durable.intake.sources.source import Source

_MAGIC = "*[?"
_MARKER = "_$folder$"  # what Hadoop leaves in a store that has no directories


def open_url(url: str, form: str | None, options: FileOptions | None) -> list[Source]:
    """Make sources of what is at a URL.

    Args:
        url: The URL of a file, of a directory, or with ``*`` for several, in order of their names.
        form: As for `open_source`.
        options: As for `open_source`, with what fsspec makes the file system with.

    Raises:
        ConfigurationError: There is none; or the file system needs a package; or a directory is
            not done, or is a table whose log says which of its files count.
        ImportStoppedError: It cannot be reached.
    """
    given = options or FileOptions()
    storage = Storage(url, given.storage_options or {})
    roots = _roots(storage)
    return [each for root in roots for each in _sources(storage, root, form, given)]


def is_url_done(url: str, options: FileOptions) -> bool:
    """Whether there is a file at a URL, or a directory that is done."""
    storage = Storage(url, options.storage_options or {})
    storage.fs.invalidate_cache()
    roots = _matching(storage)
    return bool(roots) and all(_is_there_whole(storage, each) for each in roots)


def _roots(storage: Storage) -> list[str]:
    """The paths that a URL leads to: its own, or those of its pattern."""
    found = _matching(storage)
    if not found:
        raise ConfigurationError(f"there is no file {storage.shown}", field="source")
    return found


def _matching(storage: Storage) -> list[str]:
    fs, root = storage.fs, storage.root
    path = root.partition("?")[0] if storage.shown.endswith("?…") else root
    if not any(each in path for each in _MAGIC):
        return [root]
    found = storage.ask(storage.shown, lambda: sorted(fs.glob(root)))
    return [each for each in found if not is_left_out(PurePosixPath(each).name)]


def _is_there_whole(storage: Storage, root: str) -> bool:
    fs, shown = storage.fs, storage.shown_path(root)
    if not storage.ask(shown, lambda: fs.exists(root)):
        return False
    return not storage.ask(shown, lambda: fs.isdir(root)) or _is_done(storage, root)


def _sources(storage: Storage, root: str, form: str | None, options: FileOptions) -> list[Source]:
    fs, shown = storage.fs, storage.shown_path(root)
    if storage.ask(shown, lambda: fs.isfile(root)) or not storage.ask(
        shown, lambda: fs.isdir(root)
    ):
        return [open_source(RemoteFile(storage, root), form, options)]
    for mark, what in TABLES:
        if storage.ask(shown, lambda mark=mark: fs.exists(f"{root}/{mark}")):  # type: ignore[misc]  # the default binds it now
            raise no_table(shown, what)
    if not options.allow_incomplete and not _is_done(storage, root):
        raise not_done(shown)
    directory = shown.rstrip("/")
    return [
        make_part(
            open_source(RemoteFile(storage, f"{root.rstrip('/')}/{part}"), form, options),
            directory,
            PurePosixPath(directory).name,
            part,
        )
        for part in _parts_of(storage, root)
    ]


def _is_done(storage: Storage, root: str) -> bool:
    shown = storage.shown_path(root)
    root = root.rstrip("/")
    if storage.ask(shown, lambda: storage.fs.exists(f"{root}/{UNFINISHED}")):
        return False  # somebody appends to it
    places = [root, *(str(each) for each in partition_parents(PurePosixPath(root)))]
    return any(
        storage.ask(shown, lambda each=each: storage.fs.exists(f"{each}/{SUCCESS}"))  # type: ignore[misc]  # as above
        for each in places
    )


def _parts_of(storage: Storage, root: str) -> list[str]:
    """The names of its files, in order, below it."""
    found = storage.ask(storage.shown_path(root), lambda: storage.fs.find(root))
    start = len(root.rstrip("/")) + 1
    names = sorted(str(each)[start:] for each in found)
    return [
        each
        for each in names
        if each
        and not each.endswith(("/", _MARKER))
        and not any(is_left_out(name) for name in each.split("/"))
    ]
