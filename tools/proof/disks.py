"""What a program did to its files, and what a disk may hold of that after a power cut."""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import random
    from collections.abc import Iterator

_RECORD = struct.Struct("=cqqHH")
_SECTOR = 512


class Operation(NamedTuple):
    """What a program did to a file: Create, Write, Truncate, Sync, Unlink, Rename, Mkdir."""

    kind: str
    name: str
    other: str
    offset: int
    data: bytes


def read_log(path: Path) -> Iterator[Operation]:
    """Read what `diskfault.c` wrote down."""
    log = path.read_bytes()
    place = 0
    while place < len(log):
        kind, offset, length, name_size, other_size = _RECORD.unpack_from(log, place)
        place += _RECORD.size
        name = log[place : place + name_size].decode()
        other = log[place + name_size : place + name_size + other_size].decode()
        place += name_size + other_size
        data = log[place : place + length] if kind == b"w" else b""
        place += len(data)
        yield Operation(kind.decode(), name, other, offset, data)


@dataclass
class _File:
    """A file's synced content, and what was done to it since."""

    synced: bytearray = field(default_factory=bytearray)
    pending: list[Operation] = field(default_factory=list)

    def content(self, done: list[Operation]) -> bytearray:
        content = bytearray(self.synced)
        for operation in done:
            if operation.kind == "t":
                del content[operation.offset :]
                content += bytes(operation.offset - len(content))
            else:
                end = operation.offset + len(operation.data)
                content += bytes(max(0, end - len(content)))
                content[operation.offset : end] = operation.data
        return content

    def sync(self) -> None:
        self.synced, self.pending = self.content(self.pending), []


class Disk:
    """What a disk holds, and what it may hold after a power cut.

    Args:
        is_strict: Whether a new name needs a sync of its directory (POSIX), or a sync of the
            file does (as on ext4).
    """

    def __init__(self, *, is_strict: bool) -> None:
        self._is_strict = is_strict
        self._names: dict[str, _File] = {}
        self._synced_names: dict[str, _File] = {}
        self._directories: set[str] = set()  # that were made in the run

    def hold(self, name: str, content: bytes) -> None:
        """Have a file on it from the beginning."""
        self._names[name] = self._synced_names[name] = _File(bytearray(content))

    def apply(self, operation: Operation) -> None:
        """Do what the program did."""
        name = operation.name
        if operation.kind in {"c", "m"}:
            self._names[name] = _File()
            if operation.kind == "m":
                self._directories.add(name)
        elif operation.kind in {"w", "t"}:
            self._names.setdefault(name, _File()).pending.append(operation)
        elif operation.kind == "u":
            self._names.pop(name, None)
        elif operation.kind == "r":
            self._names[operation.other] = self._names.pop(name)
        else:
            self._sync(name)

    def _sync(self, name: str) -> None:
        if name in self._names and name not in self._directories:
            self._names[name].sync()
            if not self._is_strict:
                for each in (name, *_above(name)):
                    if each in self._names:
                        self._synced_names[each] = self._names[each]
        here = re.compile(re.escape(name) + "/[^/]+")
        for each in list(self._synced_names):
            if here.fullmatch(each) and each not in self._names:
                del self._synced_names[each]
        for each, file in self._names.items():
            if here.fullmatch(each):
                self._synced_names[each] = file

    def after_cut(self, chance: random.Random, keep: str) -> dict[str, bytes]:
        """A disk that a power cut may leave.

        Args:
            chance: What decides.
            keep: Of what was not synced: ``none``, ``all``, or ``some``.
        """
        names = dict(self._synced_names)
        if keep == "all" or (keep == "some" and chance.choice((True, False))):
            names = dict(self._names)
        return {
            name: bytes(_left(file, chance, keep))
            for name, file in names.items()
            if name not in self._directories and self._directories & _above(name) <= set(names)
        }


def _above(name: str) -> set[str]:
    return {str(parent) for parent in Path(name).parents}


def _left(file: _File, chance: random.Random, keep: str) -> bytearray:
    pending = file.pending
    if keep == "none":
        pending = []
    elif keep == "some":
        pending = [_torn(each, chance) for each in pending if chance.choice((True, False))]
    return file.content(pending)


def _torn(operation: Operation, chance: random.Random) -> Operation:
    """A write of which only the first sectors may have reached the disk."""
    sectors = len(operation.data) // _SECTOR
    if operation.kind != "w" or not sectors or chance.randrange(3):
        return operation
    return operation._replace(data=operation.data[: chance.randrange(sectors) * _SECTOR])
