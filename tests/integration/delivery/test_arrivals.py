"""An event whose answers are lost is repeated under one key, so that SegOps can tell."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import TYPE_CHECKING

import pytest

import segops_durable
from segops_durable.delivery.arrivals import ENOUGH_ANSWERS, KEY_SECONDS
from support.kiosk import Kiosk, event
from support.moody import FIXED, HTML
from support.peer import Peer, Request, answer
from support.sessions import SESSION, Sessions

if TYPE_CHECKING:
    from collections.abc import Callable

    from support.rig import Rig

pytestmark = pytest.mark.one_python

HALF = FIXED["half an answer"] or b""
LOST: dict[str, bytes | None] = {
    "the connection breaks": None,
    "half of it comes": HALF,
    "a gateway has none": answer(502, HTML, content_type="text/html"),
    "a gateway is tired of waiting": answer(504, {"detail": "No answer from behind."}),
    "a gateway of another kind": answer(524, HTML, content_type="text/html"),
    "a portal puts its own in its place": answer(200, HTML, content_type="text/html"),
    "it counts other events": answer(202, {"queued": 9999, "skipped": 0}),
    "it is a redirect": answer(303, "", {"Location": "/thanks"}),
    "it is too large": answer(202, {"queued": 20, "skipped": 0, "x": "y" * 70_000}),
    "it is a switch of protocols": b"HTTP/1.1 101 Switching Protocols\r\n\r\n",
}
REFUSED = answer(500, {"detail": "Oh."})


class Forgetful(Peer):
    """Accepts all; but what it says to batches with a certain event is what it is told to say."""

    def __init__(self) -> None:
        super().__init__(self._answer)
        self.says: list[bytes | None] = []
        self.last: bytes | None = None
        self.keys: dict[int, set[str]] = defaultdict(set)  # under which each was accepted
        self.ill = {0}

    def _answer(self, request: Request) -> bytes | None:
        accepted = self.accept(request)
        is_ill = bool(self.ill.intersection(request.numbers))
        said = (self.says.pop(0) if self.says else self.last) if is_ill else accepted
        if said is None or not said.startswith((b"HTTP/1.1 413", b"HTTP/1.1 500")):
            for number in request.numbers:
                self.keys[number].add(request.key)
        if said == HALF and self.socket is not None:
            self.socket.sendall(said)
            return None
        return said

    @property
    def most_keys(self) -> int:
        return max(map(len, self.keys.values()))


TOO_LARGE = answer(413, {"detail": "Too large."})
PROXYS_OWN = answer(413, HTML, content_type="text/html")


def run(rig: Rig, rounds: int) -> None:
    """Let rounds pass in which other batches are accepted, as in an ordinary day."""
    for _ in range(rounds):
        rig.append(1, first=1000 + rig.outbox.waiting.counts().last_id)
        rig.next_round()


@pytest.mark.parametrize("lost", LOST.values(), ids=list(LOST))
def test_a_batch_whose_answer_is_lost_again_and_again_keeps_its_key(
    make_rig: Callable[..., Rig], lost: bytes | None
) -> None:
    with Forgetful() as segops:
        segops.last = lost
        rig = make_rig(segops.url)
        rig.append(40)
        run(rig, 40)
        assert segops.most_keys == 1
        assert rig.outbox.waiting.counts().pending == 20
        assert set(range(20, 40)) <= set(segops.accepted)
        made = sum(0 in request.numbers for request in segops.requests)
        run(rig, 60)
        assert sum(0 in request.numbers for request in segops.requests) - made < 15
        segops.ill = set()
        rig.round(is_asked_for=True)
        assert rig.outbox.waiting.counts().pending == 0
    assert segops.most_keys == 1


@pytest.mark.parametrize("at", [0, 3, 5])
def test_one_lost_answer_among_others_is_enough_to_keep_the_key(
    make_rig: Callable[..., Rig], at: int
) -> None:
    with Forgetful() as segops:
        segops.says = [*[REFUSED] * at, None]
        segops.last = REFUSED
        rig = make_rig(segops.url)
        rig.append(40)
        run(rig, 40)
        assert len({request.key for request in segops.requests if 0 in request.numbers}) == 1
        told = [each for each in rig.told if isinstance(each, segops_durable.UnreachableError)]
        assert "kept in the dead letters" not in str(told[-1])
        segops.ill = set()
        rig.round(is_asked_for=True)
        counts = rig.outbox.waiting.counts()
        assert (counts.pending, counts.dead) == (0, 0)
    assert segops.most_keys == 1


@pytest.mark.long
def test_a_batch_that_may_have_arrived_is_divided_once_nobody_remembers_its_key(
    make_rig: Callable[..., Rig],
) -> None:
    """Or the good events beside one that breaks the server would be stuck for ever."""
    with Forgetful() as segops:
        segops.says, segops.last = [None], REFUSED
        rig = make_rig(segops.url)
        rig.append(40)
        run(rig, 10)
        assert rig.outbox.waiting.counts().pending == 20
        rig.clock.move(KEY_SECONDS)
        run(rig, 60)
        assert rig.outbox.waiting.counts().pending == 1


@pytest.mark.parametrize("own", [TOO_LARGE, PROXYS_OWN], ids=["SegOps says so", "a proxy does"])
def test_a_batch_that_is_too_large_in_five_rounds_is_divided_though_answers_were_lost_before(
    make_rig: Callable[..., Rig], own: bytes
) -> None:
    with Forgetful() as segops:
        segops.says, segops.last = [None] * 4, own  # no answer to any attempt of a first round
        rig = make_rig(segops.url)
        rig.append(40)
        run(rig, ENOUGH_ANSWERS)
        assert len(keys_of_ill(segops)) == 1
        told = [each for each in rig.told if isinstance(each, segops_durable.UnreachableError)]
        assert "not divided yet" in str(told[-1])
        assert rig.outbox.waiting.counts().dead == 0
        run(rig, 60)
        assert set(range(1, 40)) <= set(segops.accepted)
        assert (rig.outbox.waiting.counts().pending, rig.outbox.waiting.counts().dead) == (0, 1)


def test_an_answer_that_is_lost_in_between_says_nothing_of_a_batch_that_is_too_large(
    make_rig: Callable[..., Rig],
) -> None:
    with Forgetful() as segops:
        segops.says = [None, *[TOO_LARGE] * (ENOUGH_ANSWERS - 1)] * 20
        rig = make_rig(segops.url, max_retries=0)
        rig.append(40)
        run(rig, 60)
        assert len(keys_of_ill(segops)) == 1


@pytest.mark.parametrize("then", [answer(500, HTML, content_type="text/html"), None])
def test_a_batch_that_an_earlier_process_has_left_may_have_arrived(
    make_rig: Callable[..., Rig], then: bytes | None
) -> None:
    with Forgetful() as segops:
        segops.last = then
        second = taken_over(segops, make_rig)
        run(second, 40)
        assert len(keys_of_ill(segops)) == 1


def test_a_batch_of_an_earlier_process_is_divided_once_segops_has_answered_in_five_rounds(
    make_rig: Callable[..., Rig],
) -> None:
    with Forgetful() as segops:
        segops.last = REFUSED
        second = taken_over(segops, make_rig)
        run(second, ENOUGH_ANSWERS - 1)
        assert len(keys_of_ill(segops)) == 1
        run(second, 60)
        assert set(range(1, 20)) <= set(segops.accepted)
        assert second.outbox.waiting.counts().pending == 1
    assert segops.most_keys == 1


def taken_over(segops: Forgetful, make_rig: Callable[..., Rig]) -> Rig:
    """A rig that finds a batch in flight which another one has left."""
    first = make_rig(segops.url)
    first.append(20)
    first.round()
    first.close()
    return make_rig(segops.url, clock=first.clock)


def keys_of_ill(segops: Forgetful) -> set[str]:
    return {request.key for request in segops.requests if 0 in request.numbers}


def test_what_was_halved_on_answers_is_halved_on_until_the_culprit_is_alone(
    make_rig: Callable[..., Rig],
) -> None:
    with Forgetful() as segops:
        segops.last = REFUSED
        rig = make_rig(segops.url)
        rig.append(40)
        run(rig, 60)
        assert rig.outbox.waiting.counts().pending == 1
        sizes = Counter(len(each.numbers) for each in segops.requests if 0 in each.numbers)
        assert set(sizes) == {20, 10, 5, 3, 2, 1}


def test_a_batch_whose_answer_was_lost_is_not_made_anew_when_nobody_signs_any_more(
    make_rig: Callable[..., Rig],
) -> None:
    kiosk = Kiosk()
    kiosk.user = "ann"
    segops = Sessions(lambda: rig.clock.time())  # noqa: PLW0108 - there is no rig yet

    def lose_and_withhold() -> None:
        kiosk.user = None
        kiosk.withheld.add("ann")
        rig.delivery.handshake.forget()  # type: ignore[union-attr]  # a public key has one

    with segops:
        rig = make_rig(
            segops.url,
            api_key="pk_test",
            get_user=kiosk.get_user,
            user_context_for=kiosk.user_context_for,
        )
        rig.track(event("ann", 1), event("ann", 2))
        segops.on_batch = lose_and_withhold
        segops.refused = [None]
        rig.round()
        rig.track(event("bea", 3))
        segops.on_batch = lambda: None
        kiosk.withheld.clear()
        kiosk.user = "ann"
        rig.track(event("ann", 4))
        rig.round(is_asked_for=True)
        assert rig.outbox.waiting.counts().pending == 0
        batches = [each for each in segops.requests if SESSION not in each.line]
    lost, again = batches[0], batches[1]
    assert (lost.key, lost.body) == (again.key, again.body)
