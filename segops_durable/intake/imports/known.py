"""The places that are stored, read once: of ten thousand files each would read all of them."""

from __future__ import annotations

import re
from collections import defaultdict
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    from segops_durable.outbox import Outbox

PREFIX = "import:"
_OF_FILE = re.compile(r"import:(\d+:\d+|url:[0-9a-f]+)(#\d+)?")
_OF_PART = re.compile(r"import:part:[0-9a-f]+")


class Known:
    """Positions of imports, by name: as they are in the outbox, whoever has stored them.

    Args:
        outbox: Where they are.
    """

    def __init__(self, outbox: Outbox) -> None:
        self._checkpoints = outbox.checkpoints
        self._version: object = None
        self._positions: dict[str, Any] = {}
        self._records: dict[str, Sequence[Any]] = {}
        self._files: dict[str, None] = {}
        self._by_path: defaultdict[str, dict[str, None]] = defaultdict(dict)

    def of_job(self, key: str) -> dict[str, Any]:
        """The position of a job, if it has one."""
        self._renew()
        return self._those({key: None})

    def of_files(self, path: str) -> dict[str, Any]:
        """The positions of files, and of parts that were at a path."""
        self._renew()
        return self._those({**self._files, **self._by_path[path]})

    def of_part(self, key: str, path: str) -> dict[str, Any]:
        """The position of a part, and those of whatever was at its path.

        Two parts of one content are two.
        """
        self._renew()
        return self._those({key: None, **self._by_path[path]})

    def note(self, key: str, position: dict[str, Any]) -> None:
        """Know of a position that was stored by this process."""
        if key not in self._positions:
            self._file(key, position)
        self._positions[key] = position

    def _those(self, names: dict[str, None]) -> dict[str, Any]:
        return {name: self._positions[name] for name in names if name in self._positions}

    def _renew(self) -> None:
        """Read what has changed, if somebody else has written."""
        version = self._checkpoints.version()
        if version == self._version:
            return
        self._positions = self._checkpoints.positions(PREFIX, self._positions, self._records)
        self._version = version
        self._files.clear()
        self._by_path.clear()
        for name, position in self._positions.items():
            self._file(name, position)

    def _file(self, name: str, position: dict[str, Any]) -> None:
        is_of_file = _OF_FILE.fullmatch(name)
        if is_of_file:
            self._files[name] = None
        if is_of_file or _OF_PART.fullmatch(name):
            self._by_path[position.get("path") or ""][name] = None
