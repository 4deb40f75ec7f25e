"""While a backlog waits, batches grow to `catch_up_batch_size`; else they are as ever."""

from __future__ import annotations

import math
from collections import Counter
from typing import TYPE_CHECKING

import pytest

from support.events import numbers
from support.kiosk import Kiosk, event
from support.peer import Peer, Request, answer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from segops_durable import SegOpsClient
    from segops_durable.sandbox import Sandbox
    from support.rig import Rig

pytestmark = pytest.mark.one_python


@pytest.fixture(name="segops")
def accepting_segops() -> Iterator[Peer]:
    """A SegOps that takes all events."""
    with Peer(lambda request: peer.accept(request)) as peer:  # noqa: PLW0108 - it is made just now
        yield peer


def sizes(segops: Peer) -> list[int]:
    return [len(each.numbers) for each in segops.requests]


def test_a_backlog_leaves_in_batches_of_that_size_and_in_order(
    make_rig: Callable[..., Rig],
    segops: Peer,
) -> None:
    rig = make_rig(segops.url, catch_up_batch_size=500)
    rig.append(1010)
    rig.round(is_asked_for=True)
    assert sizes(segops) == [500, 500, 10]
    assert [n for each in segops.requests for n in each.numbers] == [*range(1010)]


@pytest.mark.parametrize(("waiting", "sent"), [(19, []), (20, [20]), (21, [21]), (510, [500])])
def test_no_more_is_collected_than_without_it_before_a_batch_is_sent(
    make_rig: Callable[..., Rig], segops: Peer, waiting: int, sent: list[int]
) -> None:
    """What does not fill a batch of `batch_size` waits for its interval, as ever."""
    rig = make_rig(segops.url, catch_up_batch_size=500)
    rig.append(waiting)
    rig.delivery.sender.run_round(0)
    assert sizes(segops) == sent


def test_a_steady_flow_takes_no_more_requests_than_without_it(
    make_rig: Callable[..., Rig], segops: Peer
) -> None:
    rig = make_rig(segops.url, catch_up_batch_size=500)
    for first in range(0, 600, 30):
        rig.append(30, first)
        rig.delivery.sender.run_round(0)
    assert segops.accepted == Counter(range(600))
    assert len(segops.requests) <= math.ceil(600 / 20)


def test_batches_over_several_connections_grow_as_well(
    make_rig: Callable[..., Rig], segops: Peer
) -> None:
    rig = make_rig(segops.url, catch_up_batch_size=100, max_in_flight=4)
    rig.append(1000)
    rig.round(is_asked_for=True)
    assert sorted(sizes(segops)) == [100] * 10
    assert segops.accepted == Counter(range(1000))


def test_a_batch_that_may_have_arrived_keeps_its_size_and_its_key_also_after_a_restart(
    make_rig: Callable[..., Rig],
) -> None:
    with Peer(lambda _request: None) as segops:
        rig = make_rig(segops.url)
        rig.append(20)
        rig.round()
        first = segops.requests[0]
        rig.append(980, first=20)
        rig.close()
        segops.react = segops.accept
        again = make_rig(segops.url, clock=rig.clock, catch_up_batch_size=500)
        again.round(is_asked_for=True)
        later = segops.requests[-3:]
        assert [len(each.numbers) for each in later] == [20, 500, 480]
        assert (later[0].key, later[0].body) == (first.key, first.body)
    assert segops.accepted == Counter(range(1000))


def test_a_batch_that_has_not_left_grows_with_what_came_meanwhile(
    make_rig: Callable[..., Rig], sandbox: Sandbox
) -> None:
    sandbox.stop()  # nobody listens there: it stays marked, and has not left
    rig = make_rig(sandbox.url, catch_up_batch_size=500)
    rig.append(20)
    rig.round()
    rig.append(980, first=20)
    sandbox.start()
    rig.next_round()
    assert [each["queued"] for each in sandbox.requests()] == [500, 500]
    assert numbers(sandbox) == [*range(1000)]


def test_a_batch_that_grew_too_large_for_a_proxy_is_made_smaller_and_nothing_is_lost(
    make_rig: Callable[..., Rig],
) -> None:
    def react(request: Request) -> bytes:
        return segops.accept(request) if len(request.numbers) <= 60 else answer(413, {})

    with Peer(react) as segops:
        rig = make_rig(segops.url, catch_up_batch_size=500)
        rig.append(2000)
        rig.round()
        refused = [size for size in sizes(segops) if size > 60]
        assert len(refused) <= math.ceil(math.log2(500 / 60)), "one refusal a halving, once"
    assert segops.accepted == Counter(range(2000))


def test_the_one_event_that_segops_refuses_is_found_in_a_batch_that_grew(
    make_rig: Callable[..., Rig],
) -> None:
    def react(request: Request) -> bytes:
        is_bad = 321 in request.numbers
        return answer(400, {"detail": "no"}) if is_bad else segops.accept(request)

    with Peer(react) as segops:
        rig = make_rig(segops.url, catch_up_batch_size=500)
        rig.append(1000)
        rig.round()
        assert rig.outbox.waiting.counts().dead == 1
        assert len(segops.requests) <= 2 + 2 * math.ceil(math.log2(500))
    assert segops.accepted == Counter(set(range(1000)) - {321})


def test_under_a_public_key_the_batch_of_each_user_grows_with_what_waits_of_theirs(
    make_client: Callable[..., SegOpsClient], sandbox: Sandbox
) -> None:
    kiosk = Kiosk()
    sandbox.stop()
    client = make_client("pk_test", get_user=kiosk.get_user, max_retries=0, catch_up_batch_size=100)
    for user, count in (("ann", 150), (None, 25)):
        kiosk.user = user
        client.track_many([event(user or "visitor", number) for number in range(count)])
    kiosk.user = "ann"
    sandbox.start()
    assert client.flush(timeout=60).ok
    taken = [each["queued"] for each in sandbox.requests() if each["path"].endswith("/batch/")]
    assert sorted(taken) == [25, 50, 100]
