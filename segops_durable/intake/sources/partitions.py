"""Columns that the names of directories say, as Hive and Spark write them: ``day=2026-01-31``."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import unquote

if TYPE_CHECKING:
    from pathlib import PurePath
    from typing import TypeVar

    P = TypeVar("P", bound=PurePath)

_PARTITION = re.compile(r"([^=]+)=(.*)", re.DOTALL)
_NULL = "__HIVE_DEFAULT_PARTITION__"


def partitions_of(path: PurePath) -> dict[str, str | None]:
    """The columns of the directories right above a file, from the outside to the inside."""
    found: dict[str, str | None] = {}
    for directory in reversed(path.parents):
        match = _PARTITION.fullmatch(directory.name)
        if match is None:
            found = {}  # they are together, right above the file
        else:
            found[unquote(match[1])] = None if match[2] == _NULL else unquote(match[2])
    return found


def partition_parents(path: P) -> list[P]:
    """The directories above one that is a partition, up to the table's; none if it is not."""
    found = []
    for directory in (path, *path.parents):
        if not _PARTITION.fullmatch(directory.name):
            break
        found.append(directory.parent)
    return found
