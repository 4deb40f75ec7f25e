"""Which batches SegOps may have accepted without our hearing of it.

Those are not divided, and not made anew: their events would go out again under other keys,
and SegOps could not tell that it has them. A batch is certain not to have been accepted only
while each request for it was answered, or did not leave whole, and no answer was a success.

What may be, need not be for ever:

- A 413 is about the very bytes. Whoever has said it to a batch in five rounds, one after the
  other, has not taken it before.
- Of a batch that an earlier process has left nobody knows how its requests ended. SegOps' own
  refusals and 500s in five rounds say that it does not have it. Where an answer was certainly
  lost they say less: what was stored may break what comes after it.
- After a day it makes no difference: a key is remembered for 24 hours, as far as SegOps
  announces it at all (public documentation of its admin API). So no batch is stuck for ever.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from segops_durable.api import Meaning

if TYPE_CHECKING:
    from collections.abc import Sequence

    from segops_durable.api import Verdict
    from segops_durable.outbox import Batch
    from segops_durable.system.clock import Clock

KEY_SECONDS = 86_400.0
"""How long a server may remember an ``Idempotency-Key``."""

ENOUGH_ANSWERS = 5
"""Rounds in a row that end in an answer about a batch, and show that it was not accepted."""

_MOST = 1000


@dataclass(frozen=True)
class _Doubt:
    """Why SegOps may have a batch.

    Attributes:
        since: By the clock that nobody sets.
        is_of_ours: Whether this process has lost an answer; else it knows nothing of it.
        answers: Rounds since, one after the other, that ended in an answer about its bytes.
    """

    since: float
    is_of_ours: bool
    answers: int = 0

    def after(self, verdict: Verdict) -> _Doubt:
        """The same, after a round that ended so."""
        is_about_it = verdict.meaning is Meaning.TOO_LARGE or (
            verdict.is_segops and verdict.meaning is Meaning.UNREACHABLE and not self.is_of_ours
        )
        return replace(self, answers=self.answers + is_about_it)


class Arrivals:
    """Remembers how the requests for each batch in flight ended.

    Args:
        clock: The time.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._doubts: dict[str, _Doubt | None] = {}  # None: it certainly was not accepted
        self._noting = threading.Lock()  # over several connections several threads note

    def note(self, batch: Batch, verdicts: Sequence[Verdict]) -> None:
        """Note how the requests for a batch ended, in one round."""
        with self._noting:
            doubt = self._known(batch)
            if any(each.may_have_arrived for each in verdicts):
                doubt = _Doubt(self._clock.uptime(), is_of_ours=True)
            if doubt is not None and verdicts:
                doubt = doubt.after(verdicts[-1])
            self._keep(batch.key, doubt)

    def note_unsent(self, keys: Sequence[str]) -> None:
        """Note batches that were just made of one that is certain not to have been accepted."""
        with self._noting:
            for key in keys:
                self._keep(key, None)

    def may_be_divided(self, batch: Batch) -> bool:
        """Whether nobody could mistake its events for others if they had another key."""
        doubt = self._known(batch)
        if doubt is None or doubt.answers >= ENOUGH_ANSWERS:
            return True
        return self._clock.uptime() - doubt.since >= KEY_SECONDS

    def drop(self, key: str) -> None:
        """Forget a batch that is settled, halved or released: none has this key any more."""
        with self._noting:
            self._doubts.pop(key, None)

    def _known(self, batch: Batch) -> _Doubt | None:
        found = None if batch.is_new else _Doubt(self._clock.uptime(), is_of_ours=False)
        return self._doubts.get(batch.key, found)

    def _keep(self, key: str, doubt: _Doubt | None) -> None:
        self._doubts[key] = doubt
        while len(self._doubts) > _MOST:  # the oldest: one that nobody knows is not divided
            del self._doubts[next(iter(self._doubts))]
