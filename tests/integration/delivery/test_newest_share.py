"""While a backlog waits, a share of the batches is of the newest events; none is passed over."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import pytest

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


def spans(segops: Peer) -> list[tuple[int, int]]:
    """The first and the last event of each request; each has all between them, in order."""
    for each in segops.requests:
        assert each.numbers == [*range(each.numbers[0], each.numbers[-1] + 1)]
    return [(each.numbers[0], each.numbers[-1]) for each in segops.requests]


def test_every_fifth_batch_is_of_the_newest_until_two_are_left(
    make_rig: Callable[..., Rig], segops: Peer
) -> None:
    rig = make_rig(segops.url, newest_share=0.2, batch_size=10)
    rig.append(200)
    rig.round(is_asked_for=True)
    first = [each[0] for each in spans(segops)]
    assert first[:15] == [0, 10, 20, 30, 190, 40, 50, 60, 70, 180, 80, 90, 100, 110, 170]
    assert first[15:] == [120, 130, 140, 150, 160], "no backlog any more: the oldest first"
    assert segops.accepted == Counter(range(200))


@pytest.mark.parametrize(("share", "newest"), [(0.1, 10), (0.25, 25), (0.5, 50), (0.75, 75)])
def test_of_a_hundred_batches_the_share_is_of_the_newest(
    make_rig: Callable[..., Rig], segops: Peer, share: float, newest: int
) -> None:
    rig = make_rig(segops.url, newest_share=share, batch_size=5)
    rig.append(5 * 104)
    rig.round(is_asked_for=True)
    oldest = 0
    for first, last in spans(segops)[:100]:
        if first == oldest:
            oldest = last + 1
    assert oldest == 5 * (100 - newest)
    assert segops.accepted == Counter(range(5 * 104))


def test_events_that_come_while_it_catches_up_are_the_newest(
    make_rig: Callable[..., Rig], segops: Peer
) -> None:
    rig = make_rig(segops.url, newest_share=0.5, batch_size=10)
    rig.append(100)

    def track_one_more(request: Request) -> bytes:
        if len(segops.requests) == 1:
            rig.append(10, first=500)
        return segops.accept(request)

    segops.react = track_one_more
    rig.round(is_asked_for=True)
    assert spans(segops)[:2] == [(0, 9), (500, 509)]


@pytest.mark.parametrize("share", [0.5, 0.9])
def test_a_round_ends_though_events_come_faster_than_they_are_sent(
    make_rig: Callable[..., Rig], segops: Peer, share: float
) -> None:
    rig = make_rig(segops.url, newest_share=share, batch_size=10)
    rig.append(100)

    def track_more(request: Request) -> bytes:
        rig.append(50, first=1000 * len(segops.requests))
        return segops.accept(request)

    segops.react = track_more
    rig.round()
    assert set(range(100)) <= set(segops.accepted), "what waited when it began is gone"
    assert segops.requests[-1].numbers[0] < 100, "it ends with the last of that"


def test_a_newest_batch_that_fails_keeps_its_key_and_the_others_go_on_around_it(
    make_rig: Callable[..., Rig], segops: Peer
) -> None:
    rig = make_rig(segops.url, newest_share=0.5, batch_size=10, max_retries=0)
    rig.append(100)
    segops.react = lambda request: None if 95 in request.numbers else segops.accept(request)
    rig.round()
    assert spans(segops) == [(0, 9), (90, 99)]
    failed = segops.requests[1]
    rig.append(40, first=100)
    for _ in range(2):
        rig.next_round()
    assert segops.accepted == Counter({*range(140)} - {*range(90, 100)})
    segops.react = segops.accept
    rig.round(is_asked_for=True)
    assert (segops.requests[-1].key, segops.requests[-1].body) == (failed.key, failed.body)
    assert segops.accepted == Counter(range(140))


def test_a_newest_batch_is_halved_and_cut_by_bytes_as_any_other(
    make_rig: Callable[..., Rig], segops: Peer
) -> None:
    def react(request: Request) -> bytes:
        if len(request.numbers) > 8:
            return answer(413, {})
        is_bad = 97 in request.numbers
        return answer(400, {"detail": "no"}) if is_bad else segops.accept(request)

    segops.react = react
    rig = make_rig(segops.url, newest_share=0.5, batch_size=20)
    rig.append(200)
    rig.round()
    assert segops.accepted == Counter(set(range(200)) - {97})
    assert any(last == 199 for _, last in spans(segops)[:5])


def test_over_several_connections_no_batch_has_what_another_has(
    make_rig: Callable[..., Rig], segops: Peer
) -> None:
    rig = make_rig(segops.url, newest_share=0.4, batch_size=7, max_in_flight=5)
    rig.append(1000)
    rig.round(is_asked_for=True)
    assert segops.accepted == Counter(range(1000))
    early = [last for _, last in spans(segops)[:10]]
    assert 999 in early


def test_under_a_public_key_each_user_has_the_newest_of_their_own(
    make_client: Callable[..., SegOpsClient], sandbox: Sandbox
) -> None:
    kiosk = Kiosk()
    sandbox.stop()
    client = make_client(
        "pk_test",
        get_user=kiosk.get_user,
        user_context_for=kiosk.user_context_for,
        max_retries=0,
        batch_size=5,
        newest_share=0.5,
    )
    for part in range(4):
        for user in ("ann", "bob"):
            kiosk.user = user
            client.track_many([event(user, 10 * part + number) for number in range(10)])
    sandbox.start()
    assert client.flush(timeout=60).ok
    for user in ("ann", "bob"):
        found = [row["event"] for row in sandbox.events() if row["user_id"] == user]
        numbers = [each["payload"]["n"] for each in found]
        assert sorted(numbers) == [*range(40)]
        assert numbers[:10] == [*range(5), *range(35, 40)]
        assert {each["payload"]["by"] for each in found} == {user}
