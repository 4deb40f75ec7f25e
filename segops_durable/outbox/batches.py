"""Batches on their way out: taken, marked in flight, settled.

A batch is written down before it is sent, in the transaction that settles the one before
it. So after a crash at any instant exactly one batch an identity may be sent again, and it
is the same bytes under the same key. The key names the outbox, the rows and what is in them:
one key never stands for two bodies, whatever becomes of ids and files.

Which batch is taken `taking` says.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from segops_durable.outbox.gathering import is_worth_taking
from segops_durable.outbox.records.batch import (
    Batch,
    Settlement,
    Take,
    Taken,
    body_of,
    digest_of,
)
from segops_durable.outbox.records.burial import bury
from segops_durable.outbox.records.marks import assign, mark, unmark
from segops_durable.outbox.records.tally import standing
from segops_durable.outbox.removal import delete_rows, still_there
from segops_durable.outbox.sifting import sift
from segops_durable.outbox.taking import Taking, key_of
from segops_durable.outbox.unaltered import Unaltered
from segops_durable.outbox.wholeness import Wholeness
from segops_durable.system.clock import PLAUSIBLE

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Collection, Sequence

    from segops_durable.outbox.caps import Caps
    from segops_durable.outbox.expiry import Expiry
    from segops_durable.outbox.owner import Owner
    from segops_durable.outbox.records.rows import Row
    from segops_durable.outbox.store.store import Store
    from segops_durable.system.clock import Clock


class Batches:
    """Takes batches from the store and settles them.

    Args:
        store: The open outbox file.
        owner: Has the outbox's UUID, the first part of every ``Idempotency-Key``.
        caps: What the outbox may hold; a batch in flight never gives way.
        clock: Tells whether a clock was set since an event was tracked.
        expiry: What is too old to be sent.
    """

    def __init__(
        self, store: Store, owner: Owner, caps: Caps, clock: Clock, expiry: Expiry
    ) -> None:
        self._store = store
        self._caps = caps
        self._owner = owner
        self._clock = clock
        self._wholeness = Wholeness(store)
        self._unaltered = Unaltered(store)
        self._transact = self._unaltered.transact
        self._taking = Taking(lambda: owner.uuid, clock, expiry, self._unaltered)

    def sift(self, identity: str) -> int:
        """Bury the damaged among an identity's oldest rows, which nobody takes; say how many.

        A row that is none of ours to send may look so by damage alone.
        """
        return self._store.transact(lambda writer: sift(writer, identity))

    def take(self, take: Take) -> Taken:
        """Mark an identity's next batch in flight, or find the one that is in flight already."""
        if not is_worth_taking(self._store.read, take):
            return Taken(None)  # an idle outbox is not written to
        return self._transact(lambda writer: self._next(writer, take))

    def read_ahead(self, take: Take) -> None:
        """Read the batch that will be taken next, as nobody has anything better to do.

        Raises:
            StorageError: The disk fails.
        """
        self._store.look(lambda reader: self._taking.read_ahead(reader, take))

    def settle(self, settlement: Settlement, then: Take | None) -> Taken:
        """Remove an answered batch and mark the next, if one is wanted, in one transaction.

        Safe to call again after an error: a commit that raised may be on disk all the same.
        """
        taken, _ = self.settle_all([settlement], [] if then is None else [then])
        return taken[0] if taken else Taken(None)

    def settle_all(
        self, settlements: Sequence[Settlement], takes: Sequence[Take]
    ) -> tuple[list[Taken], list[int]]:
        """Remove answered batches and mark as many as are wanted, in one transaction.

        Returns:
            What was taken, up to the first take that found nothing; and of each batch, how many
            events were erased after it was let go.
        """

        def settle_and_take(writer: sqlite3.Connection) -> tuple[list[Taken], list[int]]:
            erased = self._remove(writer, settlements)
            found: list[Taken] = []
            made: tuple[str, ...] = ()
            for take in takes:
                others = replace(take, aside=(*take.aside, *made)) if made else take
                taken = self._next(writer, others)
                found.append(taken)
                if taken.batch is None:
                    break
                made += (taken.batch.key,)
            return found, erased

        return self._transact(settle_and_take)

    def _remove(self, writer: sqlite3.Connection, settlements: Sequence[Settlement]) -> list[int]:
        before, removed, accepted, erased = standing(writer), 0, 0, []
        for each in settlements:
            batch = each.batch
            if each.letter is not None:
                bury(writer, still_there(writer, batch.rows), each.letter)
            unmark(writer, batch.key)
            count = delete_rows(writer, batch.rows, are_there=self._unaltered.is_as_taken(batch))
            removed += count
            accepted += min(each.accepted, count)  # the others are not ours, or were erased
            erased.append(self._wholeness.erased_of(writer, batch, count))
        at = self._clock.time() if accepted else None
        before.record(writer, removed=removed, accepted=accepted, accepted_at=at)
        return erased

    def is_whole(self, batch: Batch) -> bool:
        """Whether nothing of a batch was erased since it was taken, by whichever process."""
        return self._wholeness.is_whole(batch)

    def left_of(self, batch: Batch) -> tuple[Row, ...]:
        """Those rows of a batch that still are on disk, as they were taken."""
        return self._wholeness.left_of(batch)

    def assign(self, batch: Batch, identity: str) -> Batch:
        """Write down as whose a batch of `WHOEVER` is sent, from now on."""
        self._store.transact(lambda writer: assign(writer, batch.key, identity))
        return replace(batch, assigned=identity)

    def release(self, batch: Batch, then: Take | None) -> Taken:
        """Let a batch's rows be taken anew, and take the next, if one is wanted."""

        def release_and_take(writer: sqlite3.Connection) -> Taken:
            unmark(writer, batch.key)
            return self._next_if(writer, then)

        return self._transact(release_and_take)

    def may_stay_marked(self, batch: Batch) -> bool:
        """Whether a batch that has not left may as well stay marked until the next attempt.

        Each mark that comes and goes is two commits, at every attempt of an outage. But who finds
        it after a kill cannot know that it has not left, and sends it as it is: at the times that
        a clock showed which may still be set, or as whoever it was assigned to. And where the
        oldest events give way to new ones, it would not.
        """
        is_clock_set = self._clock.time() >= PLAUSIBLE
        has_time = is_clock_set or all(row.uptime is None for row in batch.rows)
        return has_time and not batch.assigned and not self._caps.drops_oldest

    def give_back(self, keys: Collection[str]) -> None:
        """Let the rows of batches that have not left be taken anew."""

        def unmark_all(writer: sqlite3.Connection) -> None:
            for key in keys:
                unmark(writer, key)

        if keys:
            self._transact(unmark_all)

    def halve(self, batch: Batch, then: Take | None) -> Taken:
        """Make two batches of one that was refused as a whole, and take the next.

        Both halves are marked in flight, so that a crash goes on with them.
        """
        middle = (len(batch.rows) + 1) // 2

        def halve_and_take(writer: sqlite3.Connection) -> Taken:
            unmark(writer, batch.key)
            parts = (
                still_there(writer, part) for part in (batch.rows[:middle], batch.rows[middle:])
            )
            # a mark is ids and a count. Rows may have been erased since, or be others' in a file
            # that took its place: a mark of those would have others sent under this key
            halves = [
                Batch(
                    tuple(part),
                    key_of(self._owner.uuid, part, digest_of(body_of(part))),
                    batch.assigned,
                )
                for part in parts
                if part
            ]
            for half in halves:
                mark(writer, half)
            return replace(self._next_if(writer, then), made=tuple(each.key for each in halves))

        return self._transact(halve_and_take)

    def _next_if(self, writer: sqlite3.Connection, take: Take | None) -> Taken:
        return Taken(None) if take is None else self._next(writer, take)

    def _next(self, writer: sqlite3.Connection, take: Take) -> Taken:
        taken = self._taking.next(writer, take)
        if taken.batch is not None:
            self._wholeness.note_taken(taken.batch)
            self._unaltered.note_taken(taken.batch)
        return taken
