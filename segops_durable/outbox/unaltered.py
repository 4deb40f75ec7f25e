"""Whether anything happened to the outbox since it was last sent from, but that events came in.

Nearly always nothing did: then what was read is as it was, and is not looked for again. It shows
by two things: `PRAGMA data_version` says whether another connection has committed, of whichever
process, and the stamp of our own (`boundary.Connection`) whether this one has, and more than rows
that were added.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from segops_durable.outbox.store.boundary import Connection

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable

    from segops_durable.outbox.records.batch import Batch
    from segops_durable.outbox.store.store import Store

_T = TypeVar("_T")
_MOST_KNOWN = 1000


class Unaltered:
    """Knows it, within the transactions that settle batches and take the next.

    Args:
        store: The open outbox file.

    Attributes:
        left: What stands for the state in which the last of these transactions has left the file.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self.left: object = object()
        self._version = 0
        self._is_so = False
        self._taken: set[str] = set()

    def transact(self, action: Callable[[sqlite3.Connection], _T]) -> _T:
        """Run an action in a vital transaction, as `Store.transact`, that is one of these."""

        def watched(writer: sqlite3.Connection) -> _T:
            self._begin(writer)
            result = action(writer)
            if isinstance(writer, Connection):
                self.left = writer.next_stamp = object()  # once it is committed
            return result

        return self._store.transact(watched, is_vital=True)

    def is_since(self, left: object) -> bool:
        """Whether nothing happened since the file was left so; within one of these transactions."""
        return self._is_so and left is self.left

    def note_taken(self, batch: Batch) -> None:
        """Note a batch whose rows were all seen in this transaction, or are known to be there."""
        if len(self._taken) > _MOST_KNOWN:  # of those that were released, or divided
            self._taken.clear()
        self._taken.add(batch.key)

    def is_as_taken(self, batch: Batch) -> bool:
        """Whether nobody can have altered a batch since it was taken; it is asked for once."""
        is_known = batch.key in self._taken
        self._taken.discard(batch.key)
        return is_known

    def _begin(self, writer: sqlite3.Connection) -> None:
        version, self._version = self._version, _data_version(writer)
        is_stamped = isinstance(writer, Connection) and writer.stamp is self.left
        self._is_so = is_stamped and version == self._version
        if not self._is_so:
            self._taken.clear()


def _data_version(writer: sqlite3.Connection) -> int:
    version: int = writer.execute("PRAGMA data_version").fetchone()[0]
    return version
