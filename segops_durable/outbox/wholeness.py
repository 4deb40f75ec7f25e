"""Whether a batch still is what was taken: any process may erase rows of one that is on its way."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Any

from segops_durable.outbox.erasure import newest_erasure
from segops_durable.outbox.removal import still_there

if TYPE_CHECKING:
    import sqlite3

    from segops_durable.outbox.records.batch import Batch
    from segops_durable.outbox.records.rows import Row
    from segops_durable.outbox.store.store import Store

_MOST_KNOWN = 1000


class Wholeness:
    """Knows of which erasure on each batch was whole; over several connections for many threads.

    Args:
        store: The open outbox file.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._seen_erasure: list[Any] | None = None
        # that erasure, by the batch's key; the oldest goes, which a dict would look for among all
        self._whole_as_of: OrderedDict[str, list[Any] | None] = OrderedDict()

    def note_taken(self, batch: Batch) -> None:
        """Note a batch of which all rows are there."""
        self._whole_as_of[batch.key] = self._seen_erasure
        if len(self._whole_as_of) > _MOST_KNOWN:
            self._whole_as_of.popitem(last=False)

    def is_whole(self, batch: Batch) -> bool:
        """Whether nothing of a batch was erased since it was taken, by whichever process.

        The rows are looked at only if there was an erasure since the last look.
        """
        newest = self._store.look(newest_erasure)
        if newest == self._whole_as_of.get(batch.key):
            return True
        if len(self.left_of(batch)) < len(batch.rows):
            return False
        self._whole_as_of[batch.key] = self._seen_erasure = newest
        return True

    def left_of(self, batch: Batch) -> tuple[Row, ...]:
        """Those rows of a batch that still are on disk, as they were taken."""
        return tuple(self._store.look(lambda connection: still_there(connection, batch.rows)))

    def erased_of(self, writer: sqlite3.Connection, batch: Batch, removed: int) -> int:
        """How many rows of a batch were erased since it was known to be whole.

        Args:
            writer: The writing connection, within the transaction that removes the batch.
            batch: The batch.
            removed: How many of its rows were there.
        """
        missing = len(batch.rows) - removed
        if missing and newest_erasure(writer) != self._whole_as_of.get(batch.key):
            return missing
        return 0  # or it was removed before, by a commit that raised and is on disk all the same
