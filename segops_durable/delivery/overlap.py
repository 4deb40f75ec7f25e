"""A round over several connections: batches that do not wait for one another's answers.

The first is sent alone: an outage, a wrong key or a rate limit is met by one request, not by
many. Once SegOps has answered for it the others follow. Whatever ends the round ends it for
all: no request is begun any more, and those under way are waited for, and settled.
"""

from __future__ import annotations

from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING, Protocol

from segops_durable.errors import SegOpsError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from segops_durable.delivery.agenda import Agenda
    from segops_durable.delivery.lanes import Lanes, Made
    from segops_durable.delivery.outcome import Outcome
    from segops_durable.delivery.place import Place
    from segops_durable.delivery.settling import Settling
    from segops_durable.outbox import Batch, Take, Taken


class Decider(Protocol):
    """Who decides, on this very thread."""

    def depart(self, batch: Batch) -> int:
        """Note that a batch is sent now; say how often it may be tried again at once."""

    def conclude(
        self, outcome: Outcome, *, is_over: bool = False, is_one_of_many: bool = False
    ) -> Taken | None:
        """Do what an outcome leads to; give what was taken next, or None to end the round."""


class Overlap:
    """Runs rounds over several connections. For the sender's thread.

    Args:
        lanes: The connections.
        agenda: What is sent next.
        settling: Takes batches.
        decider: Decides what becomes of them.
        place: Ends a round, where it is lost.
    """

    def __init__(
        self,
        lanes: Lanes,
        agenda: Agenda,
        settling: Settling,
        decider: Decider,
        place: Place,
    ) -> None:
        self._lanes = lanes
        self._agenda = agenda
        self._settling = settling
        self._decider = decider
        self._place = place

    def run(self, taken: Taken) -> bool:
        """Send what was taken, and what follows; say whether nothing was left to try.

        Raises:
            StorageError: The disk failed; nothing is on its way any more.
        """
        self._lanes.begin()
        try:
            return self._run([taken])
        except BaseException:
            self._lanes.halt()
            while made := self._lanes.wait():
                with suppress(Exception):  # what was answered for is owed, and paid later
                    self._conclude(made, is_over=True)
            raise

    def close(self) -> None:
        """End the threads of the lanes."""
        self._lanes.close()

    def _run(self, first: list[Taken]) -> bool:
        taken: list[Taken] | None = first
        while taken is not None and self._send(taken):
            made = self._lanes.wait()
            if not made:
                return True
            taken = self._conclude(made)
        self._lanes.halt()
        while made := self._lanes.wait():
            self._conclude(made, is_over=True)
        return False

    def _send(self, taken: Sequence[Taken]) -> bool:
        """Send what was taken, and more while a lane is free; False to stop."""
        waiting = deque(taken)
        while waiting or self._is_more_wanted:
            if not waiting:
                take = self._agenda.next() or self._agenda.next_suspect()
                if take is None:
                    return True
                waiting.append(self._settling.take(take))
            each = waiting.popleft()
            self._settling.note_found(each)
            if self._place.must_end:
                for left in (each, *waiting):
                    if left.batch is not None:
                        self._settling.leave(left.batch)
                return False
            if each.batch is not None:
                self._send_one(each.batch)
        return True

    def _send_one(self, batch: Batch) -> None:
        retries = self._decider.depart(batch)
        self._agenda.in_hand.add(batch.key)
        self._agenda.turns.go_on(batch.identity)
        self._lanes.send(batch, retries)

    @property
    def _is_more_wanted(self) -> bool:
        return bool(self._lanes.free) and (self._agenda.round.is_open or not self._lanes.busy)

    def _conclude(self, made: Sequence[Made], *, is_over: bool = False) -> list[Taken] | None:
        """Do what the outcomes lead to, and take the next, all that is settled at once."""
        errors = [each.error for each in made if each.error is not None]
        is_over = is_over or bool(errors)
        for each in made:
            self._agenda.in_hand.discard(each.batch.key)
        for outcome in (each.outcome for each in made):
            if outcome is not None:
                then = None
                try:
                    then = self._decider.conclude(outcome, is_over=is_over, is_one_of_many=True)
                except SegOpsError as error:  # the others were answered for all the same
                    errors.append(error)
                is_over = is_over or then is None
        taken = self._settling.pay([] if is_over else self._next())
        if errors:
            raise errors[0]
        return None if is_over else taken

    def _next(self) -> Iterator[Take]:
        """What to take next, for each lane that is free."""
        for _ in range(self._lanes.free):
            take = self._agenda.next()
            if take is None:
                return
            yield take
            self._agenda.turns.go_on(take.identity)
