"""Whose place it is that was stored: that of a file, by its content, and of a mapping.

The device and the inode are where to look first, and what is asked is what the file holds. So

- a file that is renamed, copied, mounted anew or read from another machine goes on;
- what took the place of a file (`copytruncate`, a number of an inode that is used again) is a
  file of its own, and the other's place stays for its copy;
- a file of which something was changed, whatever became of its inode, is refused: nobody can say
  which of its records are stored already;
- another mapping is another import, which has to be asked for.
"""

from __future__ import annotations

import zlib
from enum import Enum, auto
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from segops_durable.errors import ChangedFileError, ConfigurationError
from segops_durable.intake.imports.import_state import (
    ImportState,
    checksum,
    checksum_of_end,
    path_of,
    seen_of,
)
from segops_durable.intake.imports.known import PREFIX
from segops_durable.intake.imports.sketch import sketch_of
from segops_durable.intake.sources.source import BEGINNING

if TYPE_CHECKING:
    from segops_durable.intake.imports.known import Known
    from segops_durable.intake.sources.source import Source

_UNMISTAKABLE_BYTES = 4096
_STEP_BYTES = 1 << 20


class Found(NamedTuple):
    """Where an import is kept, and how far it has come.

    Attributes:
        key: The name of the checkpoint; None where nothing can be kept.
        state: How far; None where it begins.
        before: What is stored under that name, to be replaced by a beginning; None for nothing.
    """

    key: str | None
    state: ImportState | None
    before: ImportState | None
    position: Any = None


class _Likeness(Enum):
    """What a file has of another, of which a place is stored."""

    SAME = auto()  # its beginning is what was imported
    CHANGED = auto()  # some of what was imported
    OTHER = auto()  # nothing


def find(known: Known, source: Source, mapping: str, *, job: str | None, is_restart: bool) -> Found:
    """Find the place of a source.

    Args:
        known: The places that are stored.
        source: The file.
        mapping: How its records are read, as a hash.
        job: A name to find it by, instead of what the file holds.
        is_restart: Begin anew, whatever is stored.

    Raises:
        ConfigurationError: It was imported with another mapping.
        ChangedFileError: It was changed since, or it may be another file.
    """
    own = source.key()
    name = source.job(job)
    if name is not None:
        key = f"{PREFIX}{name}"
        if job is None:  # a part of a directory, which may have been imported by itself as well
            near = known.of_part(key, path_of(source))
            return _Search(source, mapping, near, is_restart=is_restart).by_part(key)
        return _Search(source, mapping, known.of_job(key), is_restart=is_restart).by_name(key)
    if own is None:
        return Found(None, None, None)
    near = known.of_files(path_of(source))
    return _Search(source, mapping, near, is_restart=is_restart).by_content(own)


class _Search:
    def __init__(
        self, source: Source, mapping: str, known: dict[str, Any], *, is_restart: bool
    ) -> None:
        self._source = source
        self._mapping = mapping
        self._positions = known
        self._states = {name: ImportState.of(position) for name, position in known.items()}
        self._is_restart = is_restart
        self._prefixes: dict[int, tuple[int, str]] = {}
        self._sketch: set[int] | None = None

    def by_name(self, key: str) -> Found:
        """What a job of that name has stored."""
        state = self._states.get(key)
        if state is None or state.is_untouched:
            return self._beginning(key)
        if self._is_restart:
            return self._beginning(key)
        if self._likeness(state) is not _Likeness.SAME:
            raise self._changed(state)
        return self._going_on(key, state)

    def by_part(self, key: str) -> Found:
        """What was stored of a part, under its own key or of what was at its path."""
        touched = {name: each for name, each in self._states.items() if not each.is_untouched}
        if key in touched:
            return self.by_name(key)
        for name, state in touched.items():
            likeness = self._likeness(state)
            if likeness is _Likeness.OTHER:
                continue
            if self._is_restart:
                return self._beginning(name)
            if likeness is _Likeness.CHANGED:
                raise self._changed(state)
            return self._going_on(name)
        return self._beginning(key)

    def by_content(self, own: str) -> Found:
        """What was stored of a file that held the same."""
        touched = {name: each for name, each in self._states.items() if not each.is_untouched}
        same = [name for name in touched if self._likeness(touched[name]) is _Likeness.SAME]
        ours = [name for name in touched if name.partition("#")[0] == own]
        found = max(same, key=lambda name: (name in ours, touched[name].place), default=None)
        if found is not None and (self._is_restart or found in ours):
            return self._beginning(found) if self._is_restart else self._going_on(found)
        if found is not None:
            if not self._is_copy(touched[found]):
                raise self._doubtful(touched[found])
            return self._going_on(found)
        packed = next((name for name in touched if self._is_packed(touched[name])), None)
        if packed is not None and not self._is_restart:
            return self._going_on(packed)
        path = path_of(self._source)
        for name, state in touched.items():
            near = name in ours or state.path == path or path.startswith(f"{state.path}.")
            if near and self._likeness(state) is _Likeness.CHANGED:
                if self._is_restart:
                    return self._beginning(name)
                raise self._changed(state)
        return self._beginning(self._free(own, ours))

    def _free(self, own: str, ours: list[str]) -> str:
        """A name for what took the place of files whose own places have to stay."""
        number = 1
        name = own
        while name in ours:
            number += 1
            name = f"{own}#{number}"
        return name

    def _beginning(self, key: str) -> Found:
        state = self._states.get(key)
        is_begun = state is not None and state.is_untouched and state.mapping == self._mapping
        if state is not None and is_begun and not self._is_restart and self._is_same(state):
            return Found(key, state, None, self._positions[key])  # it was killed at once
        return Found(key, None, state, self._positions.get(key))

    def _going_on(self, key: str, state: ImportState | None = None) -> Found:
        state = state or self._states[key]
        if state.mapping and state.mapping != self._mapping:
            raise ConfigurationError(
                f"{self._source.name} was imported with another mapping, format or option: "
                f"{state.stored} events of it are stored, and {state.rejected} records were "
                "rejected",
                field="columns",
                hint="Import it as before; or begin anew with --restart, which stores those "
                "events once more; or mend what was rejected, and import that with --rejected "
                "FILE; or, if both are meant, give this import a --job of its own",
            )
        return Found(key, state, None, self._positions.get(key))

    def _likeness(self, state: ImportState) -> _Likeness:
        if self._is_same(state):
            return _Likeness.SAME
        if not state.mapping:  # of an earlier version, which kept no sketch
            is_end_same = bool(state.tail) and self._source.tail(state.place) == state.tail
            is_head_same = self._prefix(state.prefix[0]) == state.prefix
            return _Likeness.CHANGED if is_end_same or is_head_same else _Likeness.OTHER
        if self._source.path is None:
            return _Likeness.CHANGED  # a stream is read once only
        if self._sketch is None:
            chunks = self._source.chunks(BEGINNING)
            first = next(chunks, None)
            self._sketch = set(sketch_of(first.records) if first else ())
        return _Likeness.OTHER if self._sketch.isdisjoint(state.sketch) else _Likeness.CHANGED

    def _is_same(self, state: ImportState) -> bool:
        source = self._source
        if self._prefix(state.prefix[0]) != state.prefix:
            return False
        if state.tail and source.tail(state.place) != state.tail:
            return False
        if not state.checksum:
            return True
        seen = seen_of(source)
        if not state.tail:
            return checksum_of_end(source, state.seen[0]) == state.checksum
        # a log that grows is not read whole each time; what has kept its size may be edited
        if seen == state.seen or seen[0] > state.seen[0]:
            return True
        return checksum(source, 0, state.place.offset) == state.checksum

    def _is_packed(self, state: ImportState) -> bool:
        """Whether a file holds, compressed, all that was imported of another, and no more."""
        source = self._source
        if not source.is_compressed or not state.tail or not state.checksum:
            return False
        if self._likeness(state) is not _Likeness.CHANGED:
            return False
        found, left = 0, state.place.offset
        with source.file.opened(0) as stream:
            while left > 0 and (data := stream.read(min(left, _STEP_BYTES))):
                found = zlib.crc32(data, found)
                left -= len(data)
            return not left and found == state.checksum and not stream.read(1)

    def _prefix(self, size: int) -> tuple[int, str]:
        if size not in self._prefixes:
            self._prefixes[size] = self._source.prefix(size)
        return self._prefixes[size]

    def _is_copy(self, state: ImportState) -> bool:
        """Whether a file of another inode is that file: it may only begin like it."""
        path = self._source.path
        if path is None or not state.path:
            return False
        is_named_so = path.name.startswith(Path(state.path).name)  # also sales.csv.1
        is_whole = seen_of(self._source)[0] == state.seen[0]
        return is_named_so or is_whole or state.place.offset >= _UNMISTAKABLE_BYTES

    def _changed(self, state: ImportState) -> ChangedFileError:
        line = state.place.line
        return ChangedFileError(
            f"{self._source.name} has changed since line {line} of it was imported: "
            f"{state.stored} events of it are stored",
            file=self._source.name,
            line=line,
            hint="What was imported stays. Import what is new as a file of its own; or begin "
            "anew with --restart, which stores the others once more; or, if it is another file, "
            "give it a --job of its own",
        )

    def _doubtful(self, state: ImportState) -> ChangedFileError:
        return ChangedFileError(
            f"{self._source.name} begins with all that was imported of {state.path}, "
            f"{state.place.line} lines: nobody can say whether it is that file",
            file=self._source.name,
            line=state.place.line,
            hint="If it is another one, give it a --job of its own, or use --restart; if it is "
            "the same, give it that name",
        )
