"""A batch that fails again and again holds up no other, and its poison is found by halving."""

from __future__ import annotations

import math
import sqlite3
from collections import Counter
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest

import segops_durable
from segops_durable import State
from segops_durable.delivery.suspects import MOST
from support.events import track
from support.peer import Peer, Request, answer
from support.picky import REFUSAL, Picky

if TYPE_CHECKING:
    from collections.abc import Callable

    from segops_durable import SegOpsClient, SegOpsError
    from support.rig import Rig

pytestmark = pytest.mark.one_python


# Refused


@pytest.mark.parametrize("status", [400, 422])
def test_three_poison_events_in_a_batch_of_500_are_found_and_the_others_delivered_once(
    make_client: Callable[..., SegOpsClient], status: int
) -> None:
    poison = {17, 250, 251}
    told: list[SegOpsError] = []
    with Picky(poison, answer(status, {"payload": ["Not like this."]})) as segops:
        client = make_client(api_url=segops.url, batch_size=500, on_error=told.append)
        track(client, 500)
        assert client.flush(timeout=30).pending == 0
        stats = client.stats()
        client.shutdown(0)
    assert (stats.accepted_total, stats.pending, stats.dead) == (497, 0, 3)
    assert segops.accepted == Counter(set(range(500)) - poison)
    levels = Counter(number for request in segops.requests for number in request.numbers)
    assert max(levels.values()) <= math.ceil(math.log2(500)) + 1
    keys = Counter(request.key for request in segops.requests)
    assert max(keys.values()) == 1
    assert [error.events[0]["payload"]["n"] for error in told if error.events] == sorted(poison)  # type: ignore[attr-defined]
    assert {(type(error), error.status, error.batch_size) for error in told} == {  # type: ignore[attr-defined]
        (segops_durable.RefusedError, status, 1)
    }


def test_a_crash_in_the_middle_of_halving_goes_on_with_the_halves(
    make_rig: Callable[..., Rig],
) -> None:
    with Picky({0}, REFUSAL) as segops:
        rig = make_rig(segops.url, batch_size=8)
        rig.append(8)

        def refuse_once_then_vanish(request: Request) -> bytes | None:
            return REFUSAL if len(request.numbers) == 8 else None

        segops.react = refuse_once_then_vanish
        rig.round()
        halves = segops.requests[-1]
        rig.close()
        segops.react = segops._pick
        again = make_rig(segops.url, batch_size=8)
        again.round()
        first = segops.requests[segops.requests.index(halves) + 4]  # after its retries
        assert (first.key, first.body) == (halves.key, halves.body)
        assert again.outbox.waiting.counts().dead == 1
    assert segops.accepted == Counter(range(1, 8))


@pytest.mark.parametrize(
    "refusal",
    [
        answer(500, {"detail": "Server Error"}),
        answer(403, "<html>A firewall.</html>", content_type="text/html"),
    ],
)
def test_while_one_batch_fails_for_ever_those_behind_it_arrive_within_two_rounds(
    make_rig: Callable[..., Rig], refusal: Any
) -> None:
    with Picky({0}, refusal) as segops:
        rig = make_rig(segops.url)
        rig.append(50)
        rig.round()
        rig.next_round()
        assert segops.accepted == Counter(range(20, 50))
        rig.append(30, first=50)
        rig.next_round()  # no pause holds up what is new
        assert segops.accepted == Counter(range(20, 80))
        for _ in range(60):
            rig.next_round()
        # by now it is halved, so that its neighbours get through, and the culprit still waits
        assert segops.accepted == Counter(range(1, 80))
        assert rig.outbox.waiting.counts().pending == 1
        assert rig.delivery.sender.state is State.BACKING_OFF
        made = len(segops.requests)
        for _ in range(60):
            rig.next_round()  # five minutes
        assert len(segops.requests) - made < 15
        segops.poison = set()
        rig.round(is_asked_for=True)
    assert segops.accepted == Counter(range(80))
    assert rig.outbox.waiting.counts().dead == 0


def test_several_batches_that_fail_for_ever_do_not_block_those_behind_them(
    make_rig: Callable[..., Rig],
) -> None:
    with Picky({0, 20, 40, 60}, answer(500, {"detail": "Server Error"})) as segops:
        rig = make_rig(segops.url)
        rig.append(120)
        for _ in range(5):
            rig.next_round()
        assert set(range(80, 120)) <= set(segops.accepted)


def test_a_batch_refused_for_good_does_not_hold_up_those_behind_it(
    make_rig: Callable[..., Rig],
) -> None:
    with Picky(set(range(20)), REFUSAL) as segops:
        rig = make_rig(segops.url)
        rig.append(50)
        rig.round()
        assert segops.accepted == Counter(range(20, 50))
        counts = rig.outbox.waiting.counts()
        assert (counts.pending, counts.dead) == (0, 20)


def test_a_suspect_that_lost_a_damaged_row_is_another_batch_and_is_looked_for_no_more(
    make_rig: Callable[..., Rig],
) -> None:
    """It would be asked for again and again in one round, which found nothing and never ended."""
    with Picky({0}, answer(500, {"detail": "Server Error"})) as segops:
        rig = make_rig(segops.url)
        rig.append(21)
        rig.round()
        rig.next_round()
        assert segops.accepted == Counter({20: 1})
        with closing(sqlite3.connect(rig.outbox.path)) as file, file:
            file.execute("UPDATE queue_outbox SET data = x'7b7d' WHERE _id = 1")
        rig.round(is_asked_for=True)
        assert segops.accepted == Counter(range(1, 21))
        assert rig.outbox.waiting.counts().dead == 1
        assert rig.delivery.sender.state is State.IDLE


def test_in_an_outage_no_more_than_64_batches_are_put_aside(make_rig: Callable[..., Rig]) -> None:
    with Peer(lambda _request: answer(503, {"detail": "Down."})) as segops:
        rig = make_rig(segops.url, batch_size=1, max_retries=0)
        rig.append(MOST + 10)
        for _ in range(MOST + 10):
            rig.next_round()
        tried = {number for request in segops.requests for number in request.numbers}
        assert tried == set(range(MOST))
        segops.react = segops.accept
        rig.round(is_asked_for=True)
    assert segops.accepted == Counter(range(MOST + 10))


def test_the_halves_of_a_batch_at_fault_are_tried_in_the_round_that_halves_it(
    make_rig: Callable[..., Rig],
) -> None:
    def react(request: Request) -> bytes:
        is_too_much = {0, 19} <= set(request.numbers)
        return answer(500, {"detail": "Server Error"}) if is_too_much else segops.accept(request)

    with Peer(react) as segops:
        rig = make_rig(segops.url)
        rig.append(40)
        before = 0
        for _ in range(20):
            before = len(segops.requests)
            rig.next_round()
            if not rig.outbox.waiting.counts().pending:
                break
        sizes = [len(request.numbers) for request in segops.requests[before:]]
        assert sizes == [20, 10, 10]
        assert rig.delivery.sender.state is State.IDLE
