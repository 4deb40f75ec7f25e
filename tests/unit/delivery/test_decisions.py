"""What each outcome leads to, as a table: no thread, no disk, no socket."""

from __future__ import annotations

from dataclasses import replace
from itertools import product
from typing import TYPE_CHECKING, Any

import pytest

from segops_durable import State
from segops_durable.api.verdicts import Meaning, Verdict
from segops_durable.delivery.backoff import LONGEST_BLOCKED_PAUSE, LONGEST_PAUSE
from segops_durable.delivery.decisions import (
    BACKING_OFF,
    HALVED_AFTER,
    MOST_REFUSALS,
    MOST_WITHDRAWALS,
    SENDING,
    STANDING_BY,
    Decision,
    Fate,
    Finding,
    Known,
    at_end,
    decide,
    given_back,
    taking_over,
)
from segops_durable.delivery.outcome import Outcome
from segops_durable.outbox import Batch, Row

if TYPE_CHECKING:
    from collections.abc import Iterator

NOTHING = Known(
    is_stopping=False,
    is_open=False,
    may_be_divided=True,
    is_at_fault=False,
    failures=0,
    held_for=None,
    told=None,
    refusals=0,
    withdrawals=0,
)


def batch(size: int, *, is_new: bool = False) -> Batch:
    rows = tuple(Row(number, b"{}", 0.0, 0, "user:ann", None, None) for number in range(size))
    return Batch(rows, key=f"key-{size}", is_new=is_new)


def outcome(meaning: Meaning, status: int | None = None, size: int = 2, **more: Any) -> Outcome:
    batch_of = batch(size, is_new=more.pop("is_new", False))
    retry_after = more.pop("retry_after", None)
    verdict = Verdict(meaning, status, **more)
    return Outcome(batch_of, verdict, attempts=1, retry_after=retry_after)


def unsent(meaning: Meaning, status: int | None = None, **more: Any) -> Outcome:
    return outcome(meaning, status, **{"is_unsent": True, "is_new": True, **more})


ACCEPTED = outcome(Meaning.ACCEPTED, 202)
REFUSED = outcome(Meaning.REFUSED, 400)
TOO_LARGE = outcome(Meaning.TOO_LARGE, 413)
CREDENTIALS = outcome(Meaning.CREDENTIALS, 401)
WRONG_ADDRESS = outcome(Meaning.WRONG_ADDRESS, 404)
BUSY = outcome(Meaning.BUSY, 429, retry_after=600.0)
BROKEN = outcome(Meaning.UNREACHABLE, 500)
BROKEN_FOR = outcome(Meaning.UNREACHABLE, 503, retry_after=600.0)
RESET = outcome(Meaning.UNREACHABLE)
PORTAL = outcome(Meaning.NOT_SEGOPS, 200)
WITHDRAWN = outcome(Meaning.WITHDRAWN)
UNSIGNED = unsent(Meaning.IDENTITY)
SESSION_REFUSED = unsent(Meaning.IDENTITY, 403)
SESSION_BROKEN = unsent(Meaning.UNREACHABLE, 500)
SESSION_BUSY = unsent(Meaning.BUSY, 429, retry_after=600.0)
OFFLINE = unsent(Meaning.UNREACHABLE)

ANSWERED = Decision(finding=Finding.ANSWERED, is_pause_over=True)
WAIT = Decision(ends_round=True, longest_pause=LONGEST_PAUSE, is_told=True)
BLOCKED = replace(WAIT, state=State.UNAUTHORISED, longest_pause=LONGEST_BLOCKED_PAUSE)
ASIDE = Decision(finding=Finding.SUSPECT, state=State.BACKING_OFF, is_told=True)
HELD = Decision(finding=Finding.HELD, fate=Fate.RELEASED, is_told=True)


def row(name: str, of: Outcome, expected: Decision, **known: Any) -> Any:
    return pytest.param(of, replace(NOTHING, **known), expected, id=name)


def waits(of: Outcome, state: State, **more: Any) -> Decision:
    return replace(WAIT, state=state, reason=of.reason, order=of.retry_after, **more)


def suspected(of: Outcome, state: State) -> Decision:
    return replace(waits(of, state), finding=Finding.SUSPECT)


def is_blocked(of: Outcome, **more: Any) -> Decision:
    return replace(BLOCKED, reason=of.reason, **more)


HALVE = HALVED_AFTER - 1
SETTLED = replace(ANSWERED, fate=Fate.SETTLED)
SUSPECTED = suspected(BROKEN, State.BACKING_OFF)
TOO_LARGE_ONE = outcome(Meaning.TOO_LARGE, 413, size=1)
BROKEN_ONE = outcome(Meaning.UNREACHABLE, 500, size=1)
ANEW = Decision(fate=Fate.RELEASED, is_promising=True)

# Of a batch whose answer was lost SegOps may have the events, under its key
LOST = {"may_be_divided": False}
LOST_AT_FAULT = {"may_be_divided": False, "is_at_fault": True, "failures": HALVE}

ROWS = [
    # What SegOps itself has said of the events
    row("accepted", ACCEPTED, SETTLED),
    row("accepted, a suspect", ACCEPTED, SETTLED, is_at_fault=True, failures=9),
    row("accepted as the client stops", ACCEPTED, SETTLED, is_stopping=True),
    row("refused, many", REFUSED, replace(ANSWERED, fate=Fate.HALVED)),
    row("refused, an answer lost", REFUSED, replace(ANSWERED, fate=Fate.HALVED), **LOST),
    row("refused, alone", outcome(Meaning.REFUSED, 422, size=1), SETTLED),
    row("too large, many", TOO_LARGE, replace(ANSWERED, fate=Fate.RELEASED)),
    row("too large, alone", TOO_LARGE_ONE, SETTLED),
    # A 413 may be a proxy's: of a batch that SegOps may have it says nothing
    row("too large, an answer lost", TOO_LARGE, suspected(TOO_LARGE, State.BACKING_OFF), **LOST),
    row("too large, lost, at fault", TOO_LARGE, ASIDE, **LOST_AT_FAULT),
    row(
        "too large alone, an answer lost",
        TOO_LARGE_ONE,
        suspected(TOO_LARGE_ONE, State.BACKING_OFF),
        **LOST,
    ),
    # What no other batch would fare better with
    row("busy", BUSY, waits(BUSY, State.RATE_LIMITED)),
    row("busy, told before", BUSY, waits(BUSY, State.RATE_LIMITED), told=BUSY.reason),
    row("busy as the client stops", BUSY, waits(BUSY, State.RATE_LIMITED), is_stopping=True),
    row("credentials", CREDENTIALS, is_blocked(CREDENTIALS)),
    row(
        "credentials, told before",
        CREDENTIALS,
        is_blocked(CREDENTIALS, is_told=False),
        told=CREDENTIALS.reason,
    ),
    row(
        "credentials, another status",
        CREDENTIALS,
        is_blocked(CREDENTIALS),
        told=(Meaning.CREDENTIALS, 403),
    ),
    row("wrong address", WRONG_ADDRESS, is_blocked(WRONG_ADDRESS)),
    row(
        "wrong address after a wrong key",
        WRONG_ADDRESS,
        is_blocked(WRONG_ADDRESS),
        told=(Meaning.CREDENTIALS, 401),
    ),
    # The batch may be at fault, or the way
    row("a 500", BROKEN, SUSPECTED),
    row("a 500, told before", BROKEN, SUSPECTED, told=BROKEN.reason),
    row("a 500 on a way that was open", BROKEN, SUSPECTED, is_open=True),
    row("a 500 in an outage, the third", BROKEN, SUSPECTED, failures=HALVE),
    row("a reset", RESET, suspected(RESET, State.BACKING_OFF)),
    row("a portal", PORTAL, suspected(PORTAL, State.NOT_SEGOPS)),
    row("a 503 with an order", BROKEN_FOR, suspected(BROKEN_FOR, State.BACKING_OFF)),
    row("a 500 as the client stops", BROKEN, Decision(ends_round=True), is_stopping=True),
    row("a 500 at fault", BROKEN, ASIDE, is_at_fault=True),
    row("a portal at fault", PORTAL, replace(ASIDE, state=State.NOT_SEGOPS), is_at_fault=True),
    row("a 500 at fault, not yet for long", BROKEN, ASIDE, is_at_fault=True, failures=HALVE - 1),
    row(
        "a 500 at fault for long",
        BROKEN,
        replace(ASIDE, fate=Fate.HALVED, is_promising=True),
        is_at_fault=True,
        failures=HALVE,
    ),
    row("a 500 at fault, alone", BROKEN_ONE, ASIDE, is_at_fault=True, failures=HALVE),
    row("a 500 at fault, an answer lost", BROKEN, ASIDE, **LOST_AT_FAULT),
    row(
        "a 503 at fault, with an order",
        BROKEN_FOR,
        replace(ASIDE, order=600.0, ends_round=True),
        is_at_fault=True,
        failures=HALVE,
    ),
    # Whose session there is none for
    row("nobody signs", UNSIGNED, HELD),
    row(
        "nobody signs, told before",
        UNSIGNED,
        replace(HELD, is_told=False),
        held_for=UNSIGNED.reason,
    ),
    row("a session refused", SESSION_REFUSED, HELD, refusals=MOST_REFUSALS - 1),
    row("a session refused, nobody signed before", SESSION_REFUSED, HELD, held_for=UNSIGNED.reason),
    row(
        "too many sessions refused",
        SESSION_REFUSED,
        replace(HELD, ends_round=True, state=State.UNAUTHORISED),
        refusals=MOST_REFUSALS,
    ),
    row(
        "a session refused, in flight before",
        outcome(Meaning.IDENTITY, 403, is_unsent=True),
        replace(HELD, fate=Fate.KEPT),
    ),
    row(
        "a session refused, an answer lost", SESSION_REFUSED, replace(HELD, fate=Fate.KEPT), **LOST
    ),
    # What never left
    row("offline", OFFLINE, waits(OFFLINE, State.BACKING_OFF, fate=Fate.RELEASED)),
    row(
        "offline, in flight before",
        unsent(Meaning.UNREACHABLE, is_new=False),
        waits(OFFLINE, State.BACKING_OFF),
    ),
    row(
        "offline as the client stops",
        OFFLINE,
        Decision(fate=Fate.RELEASED, ends_round=True),
        is_stopping=True,
    ),
    row(
        "offline on a way that was open",
        OFFLINE,
        waits(OFFLINE, State.BACKING_OFF, fate=Fate.RELEASED),
        is_open=True,
    ),
    row(
        "a session broken",
        SESSION_BROKEN,
        waits(SESSION_BROKEN, State.BACKING_OFF, fate=Fate.RELEASED),
    ),
    row("a session broken, the way open", SESSION_BROKEN, HELD, is_open=True),
    row("a session broken, held before", SESSION_BROKEN, HELD, held_for=UNSIGNED.reason),
    row(
        "a session broken, as before",
        SESSION_BROKEN,
        replace(HELD, is_told=False),
        held_for=SESSION_BROKEN.reason,
    ),
    row(
        "a session busy, the way open",
        SESSION_BUSY,
        waits(SESSION_BUSY, State.RATE_LIMITED, fate=Fate.RELEASED),
        is_open=True,
    ),
    # In which somebody was erased
    row("withdrawn", WITHDRAWN, ANEW, withdrawals=MOST_WITHDRAWALS - 1),
    row("withdrawn, an answer lost", WITHDRAWN, ANEW, may_be_divided=False),
    row(
        "withdrawn without end",
        WITHDRAWN,
        replace(ANEW, ends_round=True),
        withdrawals=MOST_WITHDRAWALS,
    ),
]


@pytest.mark.parametrize(("of", "known", "expected"), ROWS)
def test_each_outcome_leads_to_what_the_table_says(
    of: Outcome, known: Known, expected: Decision
) -> None:
    assert decide(of, known) == expected


def everything() -> Iterator[tuple[Outcome, Known]]:
    """Every verdict with everything that may be known."""
    yes_or_no = (False, True)
    for meaning, status, order, size in product(Meaning, (None, 500), (None, 600.0), (1, 2)):
        for is_unsent, is_new in product(yes_or_no, repeat=2):
            more = {"is_unsent": is_unsent, "is_new": is_new, "retry_after": order}
            of = outcome(meaning, status, size, **more)
            facts = product(*[yes_or_no] * 4, (0, HALVE), (None, of.reason), [None], (0, 1000))
            for each in facts:
                changes: dict[str, Any] = dict(zip(vars(NOTHING), (*each, each[-1]), strict=True))
                yield of, Known(**changes)


def test_whatever_is_known_the_promises_hold() -> None:
    for of, known in everything():
        decision = decide(of, known)
        case = of.verdict, known, decision
        if decision.fate is Fate.SETTLED:  # only SegOps' own word removes anything
            assert of.meaning in {Meaning.ACCEPTED, Meaning.REFUSED, Meaning.TOO_LARGE}, case
            assert of.meaning is Meaning.ACCEPTED or len(of.batch.rows) == 1, case
        if decision.fate in {Fate.HALVED, Fate.RELEASED} and not known.may_be_divided:
            assert of.meaning in {Meaning.REFUSED, Meaning.WITHDRAWN}, case  # never sent twice
        if not decision.ends_round:  # or it would be taken at once again, for ever
            is_aside = decision.finding in {Finding.SUSPECT, Finding.HELD}
            assert decision.fate is not Fate.KEPT or is_aside, case
        if decision.order is not None:  # nothing is sent while SegOps asks for patience
            assert decision.ends_round, case
        if decision.ends_round and decision.fate is not Fate.SETTLED and not known.is_stopping:
            is_limited = of.meaning in {Meaning.IDENTITY, Meaning.WITHDRAWN}
            is_paced = decision.longest_pause is not None or decision.order is not None
            assert is_paced or is_limited, case  # or a failing round would follow the other


@pytest.mark.parametrize(
    ("is_new", "may_be_divided", "fate"),
    [
        (True, True, Fate.RELEASED),
        (True, False, Fate.KEPT),
        (False, True, Fate.KEPT),
        (False, False, Fate.KEPT),
    ],
)
def test_only_a_batch_that_nobody_can_have_sent_is_given_up_again(
    is_new: bool, may_be_divided: bool, fate: Fate
) -> None:
    assert given_back(batch(2, is_new=is_new), may_be_divided=may_be_divided) is fate


@pytest.mark.parametrize(
    ("holds", "has_suspects", "state"),
    [
        ([], False, State.IDLE),
        ([UNSIGNED.reason], False, State.IDLE),
        ([SESSION_REFUSED.reason], False, State.UNAUTHORISED),
        ([UNSIGNED.reason, SESSION_REFUSED.reason], False, State.UNAUTHORISED),
        ([SESSION_BROKEN.reason], False, State.BACKING_OFF),
        ([SESSION_REFUSED.reason, SESSION_BROKEN.reason], False, State.BACKING_OFF),
        ([], True, State.BACKING_OFF),
        ([SESSION_REFUSED.reason], True, State.BACKING_OFF),
    ],
)
def test_a_round_that_has_tried_everything_says_what_the_rest_waits_for(
    holds: list[tuple[Meaning, int | None]], has_suspects: bool, state: State
) -> None:
    expected = Decision(state=state, is_pause_over=not has_suspects)
    assert at_end(holds, has_suspects=has_suspects) == expected


def test_whoever_takes_over_keeps_to_what_segops_asked_for() -> None:
    assert taking_over(is_ordered=True) == Decision(state=State.RATE_LIMITED)
    assert taking_over(is_ordered=False) == Decision(state=State.IDLE)


def test_without_an_outcome_only_the_state_and_the_pause_change() -> None:
    assert Decision(state=State.SENDING) == SENDING
    assert Decision(state=State.STANDBY) == STANDING_BY
    assert Decision(state=State.BACKING_OFF, longest_pause=LONGEST_PAUSE) == BACKING_OFF
