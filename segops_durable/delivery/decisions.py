"""What an outcome leads to. Pure: how a batch fared, and what is known, in; a `Decision` out.

- accepted: the rows are deleted; a batch with skipped events is copied to the dead letters.
- refused: the batch is halved until the culprit is alone; that one goes to the dead
  letters. Those behind it follow in the same round.
- too large: batches have at most half its bytes from now on; one event alone as above.
- no session for these events' user: they are held, the other users' go on.
- withdrawn, as a person in it was erased: what is left of the batch is made anew.
- busy, wrong key, wrong address: the round ends, as no batch would fare better.
- unreachable, not SegOps: after the retries the round ends, and the next one begins with
  another batch. If that one is accepted this one was at fault: it is put aside while the
  others go on, and at last it is halved.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum
from typing import TYPE_CHECKING

from segops_durable.api import Meaning
from segops_durable.delivery.backoff import LONGEST_BLOCKED_PAUSE, LONGEST_PAUSE
from segops_durable.delivery.outcome import INCONCLUSIVE
from segops_durable.delivery.status import State

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from segops_durable.delivery.outcome import Outcome, Reason
    from segops_durable.outbox import Batch

HALVED_AFTER = 3
"""Failed rounds after which a batch is halved, where the others have been accepted, and
SegOps has answered each time (`arrivals`)."""

MOST_REFUSALS = 20
"""Sessions refused in one round at most: it may be the key, and not the users."""

MOST_WITHDRAWALS = 1000
"""Batches made anew in one round at most: a file in which rows are not found would make a
round endless."""

_BLOCKED = {Meaning.CREDENTIALS, Meaning.WRONG_ADDRESS}
_STATES = {
    Meaning.BUSY: State.RATE_LIMITED,
    Meaning.CREDENTIALS: State.UNAUTHORISED,
    Meaning.WRONG_ADDRESS: State.UNAUTHORISED,
    Meaning.NOT_SEGOPS: State.NOT_SEGOPS,
}


@dataclass(frozen=True, kw_only=True)
class Known:
    """What is known when an outcome arrives; what it says itself is counted.

    Attributes:
        is_stopping: Whether the client is being shut down: the attempt may have been cut short.
        is_open: Whether SegOps itself has answered in this round.
        may_be_divided: Whether SegOps can have none of the batch: its events may have other keys.
        is_at_fault: Whether it failed before, and the others got through.
        failures: In how many rounds before this one it failed, since somebody asked for a flush.
        held_for: Why its user is held; None for one who is not.
        told: What the last round ended with; None if all is well since.
        refusals: Sessions that were refused in this round.
        withdrawals: Batches of which somebody was erased, in this round.
    """

    is_stopping: bool
    is_open: bool
    may_be_divided: bool
    is_at_fault: bool
    failures: int
    held_for: Reason | None
    told: Reason | None
    refusals: int
    withdrawals: int


class Fate(Enum):
    """What becomes of a batch."""

    KEPT = "kept"  # it stays in flight: the same bytes under the same key, later
    SETTLED = "settled"  # its rows leave the queue
    HALVED = "halved"  # two batches are made of it
    RELEASED = "released"  # its rows may be taken anew, in whichever batches


class Finding(Enum):
    """What is thought of a batch, or of its user, from now on."""

    ANSWERED = "answered"  # SegOps itself has answered: the way is open
    SUSPECT = "suspect"  # it failed: it is put aside
    HELD = "held"  # its user cannot be sent for: they miss their turns


@dataclass(frozen=True, kw_only=True)
class Decision:
    """What follows.

    Attributes:
        fate: What becomes of the batch. Defaults to `Fate.KEPT`.
        finding: What is thought of it. Defaults to None: as before.
        state: What the sender is doing now. Defaults to None: as before.
        ends_round: Whether no other batch would fare better now. Defaults to False.
        is_promising: Whether what is made of the batch may do better, so that all have
            another turn in this round. Defaults to False.
        is_pause_over: Whether the failures before count no longer. Defaults to False.
        longest_pause: The ceiling, in seconds, of the pause before the next round, which is
            longer after each failure. Defaults to None: no such pause.
        order: Seconds that SegOps has asked to wait, which nothing cuts short, in the next
            process neither. Defaults to None.
        is_told: Whether the outcome is told of as an error. Defaults to False; what is told
            of a batch that is settled is told once it is.
        reason: What is not told of again, until something else happens, if it takes a person
            to mend it. Defaults to None: as before.
    """

    fate: Fate = Fate.KEPT
    finding: Finding | None = None
    state: State | None = None
    ends_round: bool = False
    is_promising: bool = False
    is_pause_over: bool = False
    longest_pause: float | None = None
    order: float | None = None
    is_told: bool = False
    reason: Reason | None = None


STANDING_BY = Decision(state=State.STANDBY)
"""Another process sends."""

GATED = Decision(state=State.GATED)
"""The application has said that nothing is to be sent now."""

SENDING = Decision(state=State.SENDING)
"""A batch is in hand."""

BACKING_OFF = Decision(state=State.BACKING_OFF, longest_pause=LONGEST_PAUSE)
"""A round ended in an exception."""

_ANSWERED = Decision(finding=Finding.ANSWERED, is_pause_over=True)
_SETTLED = replace(_ANSWERED, fate=Fate.SETTLED)


def decide(outcome: Outcome, known: Known) -> Decision:
    """Decide what an outcome leads to."""
    rule = _RULES.get(outcome.meaning)
    if rule is not None:
        return rule(outcome, known)
    if outcome.verdict.is_unsent:
        return _never_left(outcome, known)
    if outcome.meaning in INCONCLUSIVE:
        return _inconclusive(outcome, known)
    return _wait(outcome, known)


def given_back(batch: Batch, *, may_be_divided: bool) -> Fate:
    """What becomes of a batch that has not left.

    One that was made just now is given up again: until it is sent, its events may still have
    their times corrected, and a larger batch may be made.
    """
    return Fate.RELEASED if batch.is_new and may_be_divided else Fate.KEPT


def taking_over(*, is_ordered: bool) -> Decision:
    """Whoever sends from now on keeps to what SegOps asked the last one for.

    Args:
        is_ordered: Whether something is left of it.
    """
    return Decision(state=State.RATE_LIMITED if is_ordered else State.IDLE)


def at_end(holds: Collection[Reason], *, has_suspects: bool) -> Decision:
    """Decide how a round ends that has tried everything: what is left waits for its own time.

    Args:
        holds: Why users are held.
        has_suspects: Whether batches that failed are put aside.
    """
    state = State.IDLE
    if any(status is not None for _, status in holds):
        state = State.UNAUTHORISED
    if has_suspects or any(meaning in INCONCLUSIVE for meaning, _ in holds):
        state = State.BACKING_OFF
    return Decision(state=state, is_pause_over=not has_suspects)


def afterwards(decision: Decision, told: Reason | None) -> Decision:
    """What is left of a decision where another batch has ended the round already.

    How long is waited, and as what, is as that one had it, unless SegOps orders more.

    Args:
        decision: What the outcome alone would lead to.
        told: Why the round has ended.
    """
    return replace(
        decision,
        ends_round=True,
        state=None if decision.order is None else decision.state,
        is_pause_over=False,
        longest_pause=None,
        is_told=decision.is_told and (decision.reason is None or decision.reason != told),
    )


def _accepted(_outcome: Outcome, _known: Known) -> Decision:
    return _SETTLED


def _refused(outcome: Outcome, known: Known) -> Decision:
    """Divide a refused batch; one event alone goes to the dead letters."""
    is_too_large = outcome.meaning is Meaning.TOO_LARGE
    if is_too_large and not known.may_be_divided:  # a proxy's 413 says nothing of SegOps
        return _inconclusive(outcome, known)
    if len(outcome.batch.rows) == 1:
        return _SETTLED
    # one that is too large is taken anew, by the limit
    return replace(_ANSWERED, fate=Fate.RELEASED if is_too_large else Fate.HALVED)


def _without_session(outcome: Outcome, known: Known) -> Decision:
    """Hold these events' user, and go on with the others."""
    held = _hold(outcome, known)
    if known.refusals < MOST_REFUSALS:
        return held
    return replace(held, ends_round=True, state=State.UNAUTHORISED)


def _withdrawn(_outcome: Outcome, known: Known) -> Decision:
    """Let what is left of a batch be taken anew, after a person in it was erased."""
    ends_round = known.withdrawals >= MOST_WITHDRAWALS
    return Decision(fate=Fate.RELEASED, is_promising=True, ends_round=ends_round)


def _never_left(outcome: Outcome, known: Known) -> Decision:
    """End the round, as nothing left; go on if it is the trouble of one user's session."""
    is_one_users = known.is_open or known.held_for is not None
    if outcome.meaning in INCONCLUSIVE and outcome.verdict.status is not None and is_one_users:
        return _hold(outcome, known)
    fate = given_back(outcome.batch, may_be_divided=known.may_be_divided)
    if known.is_stopping:
        return Decision(fate=fate, ends_round=True)
    return replace(_wait(outcome, known), fate=fate)


def _hold(outcome: Outcome, known: Known) -> Decision:
    return Decision(
        finding=Finding.HELD,
        fate=given_back(outcome.batch, may_be_divided=known.may_be_divided),
        is_told=known.held_for != outcome.reason,  # once
    )


def _inconclusive(outcome: Outcome, known: Known) -> Decision:
    """Put a failed batch aside; end the round unless others are known to get through."""
    if known.is_stopping:
        return Decision(ends_round=True)
    if not known.is_at_fault:
        return replace(_wait(outcome, known), finding=Finding.SUSPECT)
    aside = Decision(
        finding=Finding.SUSPECT,
        state=_STATES.get(outcome.meaning, State.BACKING_OFF),
        order=outcome.retry_after,
        ends_round=outcome.retry_after is not None,
        is_told=True,
    )
    may_be_halved = len(outcome.batch.rows) > 1 and known.may_be_divided
    if aside.ends_round or not may_be_halved or known.failures + 1 < HALVED_AFTER:
        return aside
    return replace(aside, fate=Fate.HALVED, is_promising=True)


def _wait(outcome: Outcome, known: Known) -> Decision:
    """End the round. Whatever was not accepted stays, as the same batch."""
    is_blocked = outcome.meaning in _BLOCKED
    return Decision(
        state=_STATES.get(outcome.meaning, State.BACKING_OFF),
        ends_round=True,
        longest_pause=LONGEST_BLOCKED_PAUSE if is_blocked else LONGEST_PAUSE,
        order=outcome.retry_after,
        is_told=not is_blocked or known.told != outcome.reason,  # a person mends it: tell once
        reason=outcome.reason,
    )


_RULES: dict[Meaning, Callable[[Outcome, Known], Decision]] = {
    Meaning.ACCEPTED: _accepted,
    Meaning.REFUSED: _refused,
    Meaning.TOO_LARGE: _refused,
    Meaning.IDENTITY: _without_session,
    Meaning.WITHDRAWN: _withdrawn,
}
