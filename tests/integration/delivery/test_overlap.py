"""Several batches on their way at once: each answer means what it means for one."""

from __future__ import annotations

import itertools
import random
import signal
import subprocess
import sys
import threading
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest

from segops_durable import ConfigurationError, Event, State, StorageError
from segops_durable.delivery.suspects import Suspects
from segops_durable.outbox import Take
from support.clock import MovableClock
from support.events import track
from support.peer import Peer, Request, answer

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from segops_durable import SegOpsClient
    from segops_durable.delivery.lanes import Made
    from support.rig import Rig

pytestmark = pytest.mark.one_python


class Gathered(Peer):
    """Accepts the first batch, and holds the next ones until so many are there at once."""

    def __init__(self, count: int) -> None:
        super().__init__(self._gather)
        self.are_there = threading.Barrier(count)
        self.then: Callable[[int, Request], bytes | None] = lambda _number, each: self.accept(each)
        self._numbers = itertools.count()
        self._held = range(1, count + 1)

    def _gather(self, request: Request) -> bytes | None:
        number = next(self._numbers)
        if number in self._held:
            self.are_there.wait(60)
        return self.then(number, request)


def keys_on_disk(rig: Rig) -> list[str]:
    return [key for (key,) in rig.outbox._store.read("SELECT batch_key FROM in_flight")]


def test_batches_travel_at_once_and_each_is_marked_on_disk_before_it_is_sent(
    make_rig: Callable[..., Rig],
) -> None:
    marked: list[bool] = []
    with Gathered(3) as segops:

        def accept(_number: int, request: Request) -> bytes:
            marked.append(request.key in keys_on_disk(rig))
            return segops.accept(request)

        segops.then = accept
        rig = make_rig(segops.url, max_in_flight=3)
        rig.append(20 * 7)
        rig.round()
        assert segops.accepted == Counter(range(140))
        assert segops.connections == 3
        assert marked == [True] * 7
        assert keys_on_disk(rig) == []
        assert rig.outbox.waiting.counts().accepted_total == 140


def test_what_is_answered_is_removed_though_what_was_sent_before_it_is_not_answered_yet(
    make_rig: Callable[..., Rig], wait_until: Callable[[Callable[[], object]], None]
) -> None:
    go_on = threading.Event()

    def accept(request: Request) -> bytes:
        if request.numbers[0] == 20:
            go_on.wait(60)
        return segops.accept(request)

    with Peer(accept) as segops:
        rig = make_rig(segops.url, max_in_flight=2)
        rig.append(100)
        sending = threading.Thread(target=rig.round)
        sending.start()
        try:
            wait_until(lambda: rig.outbox.waiting.counts().pending == 20)
            assert len(keys_on_disk(rig)) == 1
        finally:
            go_on.set()
            sending.join(60)
    assert segops.accepted == Counter(range(100))


SENDING = """
import sys
from segops_durable import Event, SegOpsClient
client = SegOpsClient(sys.argv[1], "sk_test", queue_path=sys.argv[2], max_in_flight=3)
client.track_many(Event("u-1", "page_viewed", payload={"n": n}) for n in range(200))
client.flush()
"""


def test_a_kill_repeats_as_many_batches_as_were_in_flight_the_same_bytes_under_the_same_keys(
    make_rig: Callable[..., Rig], queue_path: Path
) -> None:
    over = threading.Event()
    are_held = threading.Barrier(4)

    def hold(request: Request) -> bytes | None:
        if len(segops.requests) > 1:
            are_held.wait(60)
            over.wait(60)
        return segops.accept(request)

    with Peer(hold) as segops:
        command = [sys.executable, "-c", SENDING, segops.url, str(queue_path)]
        with subprocess.Popen(command) as process:
            are_held.wait(60)
            process.send_signal(signal.SIGKILL)
        before = {each.key: each.body for each in segops.requests}
        segops.react = segops.accept
        over.set()
        rig = make_rig(segops.url)
        rig.round()
        assert rig.outbox.waiting.counts().pending == 0
        after = Counter(each.key for each in segops.requests[4:])
        assert set(before).intersection(after) == {each.key for each in segops.requests[1:4]}
        again = {each.key: each.body for each in segops.requests[4:] if each.key in before}
        assert again.items() <= before.items()
        assert set(segops.accepted) == set(range(200))


def test_an_order_to_wait_stops_all_connections_and_what_is_under_way_is_settled(
    make_rig: Callable[..., Rig], wait_until: Callable[[Callable[[], object]], None]
) -> None:
    go_on = threading.Event()
    with Gathered(3) as segops:

        def answer_all(number: int, request: Request) -> bytes:
            if number == 1:
                return answer(429, {"detail": "Later."}, {"Retry-After": "600"})
            if number == 2:
                go_on.wait(60)
            return segops.accept(request)

        segops.then = answer_all
        rig = make_rig(segops.url, max_in_flight=3)
        rig.append(200)
        sending = threading.Thread(target=rig.round)
        sending.start()
        try:
            wait_until(lambda: rig.delivery.sender.is_blocked)
        finally:
            go_on.set()
            sending.join(60)
        assert rig.state == "rate_limited"
        assert rig.outbox.waiting.counts().pending == 200 - segops.accepted.total()
        made = len(segops.requests)
        rig.round(is_asked_for=True)
        assert len(segops.requests) == made
        segops.react = segops.accept
        rig.clock.move(631)  # it waits half a minute longer at most
        rig.round()
    assert segops.accepted == Counter(range(200))


def test_a_batch_under_suspicion_is_not_tried_twice_at_once() -> None:
    suspects = Suspects(5.0, MovableClock())
    for key in ("a", "b"):
        suspects.fail(key, "")
    for in_hand, found in ((set(), "a"), ({"a"}, "b")):
        suspect = suspects.recall(lambda _identity: True, in_hand)
        assert suspect is not None
        assert suspect.key == found
    assert suspects.recall(lambda _identity: True, {"a", "b"}) is None


@pytest.mark.parametrize(
    ("reply", "state"),
    [(None, State.BACKING_OFF), (answer(401, {"detail": "No."}), State.UNAUTHORISED)],
)
def test_an_outage_or_a_wrong_key_is_met_by_one_batch_and_not_by_all(
    make_rig: Callable[..., Rig], reply: bytes | None, state: State
) -> None:
    with Peer(lambda _request: reply) as segops:
        rig = make_rig(segops.url, max_in_flight=4)
        rig.append(200)
        rig.round()
        assert len({each.key for each in segops.requests}) == 1
        assert rig.delivery.sender.state is state
        assert len(rig.told) == 1
        segops.react = segops.accept
        for _ in range(3):  # the one that met it has a pause of its own
            rig.next_round()
    assert segops.accepted == Counter(range(200))


def test_what_ends_a_round_for_several_is_told_once(make_rig: Callable[..., Rig]) -> None:
    with Gathered(3) as segops:
        segops.then = lambda number, request: (
            answer(401, {"detail": "No."}) if number else segops.accept(request)
        )
        rig = make_rig(segops.url, max_in_flight=3)
        rig.append(200)
        rig.round()
        assert len(segops.requests) == 4
        assert [type(each).__name__ for each in rig.told] == ["CredentialsError"]
        assert rig.delivery.sender.state is State.UNAUTHORISED
        assert 0 < rig.delivery.sender.pause_seconds <= 5  # as after one failure
        assert rig.outbox.waiting.counts().pending == 180


def test_erasing_a_person_withdraws_the_batch_that_they_are_in_whatever_became_of_another(
    make_rig: Callable[..., Rig],
) -> None:
    rig = make_rig("http://127.0.0.1:9", max_in_flight=2)
    rig.track(*(Event(user, "page_viewed") for user in ("ann", "ann", "bob", "bob")))
    batches = rig.outbox.batches
    first = batches.take(Take(2)).batch
    assert first is not None
    second = batches.take(Take(2, aside=[first.key])).batch
    assert second is not None
    rig.outbox.erasure.forget("bob")
    assert batches.is_whole(first)
    assert not batches.is_whole(second)


def test_what_is_answered_is_removed_though_the_disk_fails_what_is_done_with_another(
    make_rig: Callable[..., Rig], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_args: object) -> None:
        raise StorageError("the disk failed", path="")

    def wait_for_all() -> list[Made]:
        found: list[Made] = []
        while lanes.busy:
            found += wait()
        return sorted(found, key=lambda each: segops.accepted[each.batch.rows[0].id - 1])

    with Gathered(3) as segops:
        segops.then = lambda number, request: (
            answer(400, {"detail": "Bad."}) if number == 1 else segops.accept(request)
        )
        rig = make_rig(segops.url, max_in_flight=3)
        rig.append(80)
        lanes: Any = rig.delivery.sender._overlap._lanes  # type: ignore[union-attr]
        wait = lanes.wait
        with monkeypatch.context() as patch:
            patch.setattr(lanes, "wait", wait_for_all)
            patch.setattr(rig.outbox.batches, "halve", fail)
            with pytest.raises(StorageError):
                rig.round()
        assert rig.outbox.waiting.counts().pending == 20
        rig.next_round()
    assert segops.accepted == Counter(range(80))


def test_a_stop_waits_for_what_is_under_way_and_ends_all_threads(
    make_client: Callable[..., SegOpsClient], wait_until: Callable[[Callable[[], object]], None]
) -> None:
    with Gathered(3) as segops:
        client = make_client(api_url=segops.url, max_in_flight=3)
        track(client, 200)
        wait_until(lambda: len(segops.requests) >= 4)
        client.shutdown(20)
        names = ("segops-flusher", "segops-lane")
        wait_until(lambda: not any(each.name.startswith(names) for each in threading.enumerate()))
        assert max(segops.accepted.values()) == 1


class Capricious(Peer):
    """Answers anything at all, by chance, and refuses for good what is bad.

    Attributes:
        lost: How often each event was accepted, and the answer lost.
    """

    _REPLIES = (
        (None, 10),
        (answer(503, {"detail": "Trouble."}), 10),
        (answer(429, {"detail": "Later."}, {"Retry-After": "7"}), 5),
        (answer(401, {"detail": "No."}), 3),
        (answer(200, "<html>", content_type="text/html"), 3),
        (b"lost", 5),
        (b"accepted", 64),
    )

    def __init__(self, seed: int, bad: set[int]) -> None:
        super().__init__(self._react)
        self.lost: Counter[int] = Counter()
        self._bad = bad
        self._bodies: dict[str, bytes] = {}
        self._chance = random.Random(seed)
        self._lock = threading.Lock()

    def _react(self, request: Request) -> bytes | None:
        with self._lock:
            assert self._bodies.setdefault(request.key, request.body) == request.body
            replies, weights = zip(*self._REPLIES, strict=True)
            (reply,) = self._chance.choices(replies, weights)
            if reply not in {b"lost", b"accepted"}:
                return reply  # type: ignore[no-any-return]  # `choices` of a mixture
            if self._bad.intersection(request.numbers):
                return answer(400, {"detail": "Bad."})
            accepted = self.accept(request)
            if reply == b"accepted":
                return accepted
            self.lost.update(request.numbers)
            return None


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("count", [1, 4])
def test_whatever_is_answered_in_whatever_order_nothing_is_lost_and_no_key_has_two_bodies(
    make_rig: Callable[..., Rig], count: int, seed: int
) -> None:
    bad = {number for number in range(400) if number % 61 == 7}
    with Capricious(seed, bad) as segops:
        rig = make_rig(segops.url, max_in_flight=count, max_retries=1)
        for first in range(0, 400, 100):
            rig.append(100, first=first)
            for _ in range(8):
                rig.next_round()
        for _ in range(3000):
            rig.next_round()
            if not rig.outbox.waiting.counts().pending:
                break
        counts = rig.outbox.waiting.counts()
        assert (counts.pending, counts.dead) == (0, len(bad))
        assert keys_on_disk(rig) == []
        assert set(segops.accepted) == set(range(400)) - bad
        assert all(times <= 1 + segops.lost[each] for each, times in segops.accepted.items())


@pytest.mark.parametrize("options", [{"api_key": "pk_test"}, {"http_session": object()}])
def test_sessions_are_for_one_connection(
    make_rig: Callable[..., Rig], options: dict[str, Any]
) -> None:
    with pytest.raises(ConfigurationError, match="max_in_flight must be 1"):
        make_rig("http://127.0.0.1:9", max_in_flight=2, **options)
