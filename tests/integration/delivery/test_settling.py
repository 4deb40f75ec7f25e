"""What stays marked on disk though it has not left, and when it is made anew."""

from __future__ import annotations

import json
import threading
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest

from segops_durable import Event, State
from segops_durable.errors import ErasedTooLateError, StorageError
from support.events import leave, numbered, numbers, track
from support.peer import LONG_SECONDS, Peer, answer

if TYPE_CHECKING:
    from collections.abc import Callable

    from segops_durable import SegOpsClient
    from segops_durable.sandbox import Sandbox
    from support.peer import Request
    from support.rig import Rig

pytestmark = pytest.mark.one_python

IN_1970 = -1_799_999_000.0


def marks(rig: Rig) -> list[Any]:
    return rig.outbox._store.read("SELECT first_id, last_id FROM in_flight")


def last_writes(rig: Rig) -> dict[str, int]:
    """When each file of the outbox was written to."""
    return {each.name: each.stat().st_mtime_ns for each in rig.outbox.path.parent.iterdir()}


def sizes(sandbox: Sandbox) -> list[int]:
    """How many events each accepted request had."""
    keys = [row["idempotency_key"] for row in sandbox.events()]
    return [keys.count(each) for each in dict.fromkeys(keys)]


def test_an_outage_in_which_nothing_is_tracked_writes_nothing_to_the_disk(
    make_rig: Callable[..., Rig], sandbox: Sandbox
) -> None:
    rig = make_rig(sandbox.url)
    sandbox.stop()
    rig.append(45)
    rig.next_round()  # the first one is tried again at once, and tells of that
    rig.next_round()
    rig.delivery.flusher.note.leave()
    before = last_writes(rig)
    for _ in range(20):
        rig.next_round()
        rig.delivery.flusher.note.leave()
    assert last_writes(rig) == before
    sandbox.start()
    rig.next_round()
    assert numbers(sandbox) == list(range(45))


def test_a_batch_that_has_not_left_takes_in_what_was_tracked_since(
    make_rig: Callable[..., Rig], sandbox: Sandbox
) -> None:
    rig = make_rig(sandbox.url)
    sandbox.stop()
    rig.append(5)
    rig.round()
    assert marks(rig) == [(1, 5)]
    rig.append(20, first=5)
    rig.next_round()
    assert marks(rig) == [(1, 20)]
    sandbox.start()
    rig.next_round()
    assert numbers(sandbox) == list(range(25))
    assert sizes(sandbox) == [20, 5]


def test_a_batch_that_has_not_left_is_corrected_when_a_clock_that_was_wrong_is_set(
    make_rig: Callable[..., Rig], sandbox: Sandbox
) -> None:
    rig = make_rig(sandbox.url)
    sandbox.stop()
    rig.clock.set(3600.0)
    rig.track(*numbered(2))
    rig.round()
    (first,) = rig.outbox._store.read("SELECT batch_key FROM in_flight")
    rig.clock.set(0.0)
    rig.next_round()
    (second,) = rig.outbox._store.read("SELECT batch_key FROM in_flight")
    assert first != second  # other bytes under another key
    rig.next_round()
    assert rig.outbox._store.read("SELECT batch_key FROM in_flight") == [second]


def test_a_batch_is_given_back_when_its_process_ends(
    make_client: Callable[..., SegOpsClient],
    make_rig: Callable[..., Rig],
    sandbox: Sandbox,
    wait_until: Callable[[Callable[[], object]], None],
) -> None:
    """The next process could not know that it has not left."""
    sandbox.stop()
    client = make_client(max_retries=0)
    track(client, 20)
    wait_until(lambda: client.stats().state is State.BACKING_OFF)
    leave(client)
    assert marks(make_rig(sandbox.url)) == []


def test_no_batch_stays_marked_under_a_clock_that_is_not_set(
    make_rig: Callable[..., Rig], sandbox: Sandbox
) -> None:
    """After a kill the next process corrects the times of what is not marked, and of no more."""
    rig = make_rig(sandbox.url)
    sandbox.stop()
    rig.clock.set(IN_1970)
    rig.track(*numbered(20))
    rig.round()
    assert marks(rig) == []


def test_events_that_have_to_give_way_do_so_though_they_were_tried(
    make_client: Callable[..., SegOpsClient],
    sandbox: Sandbox,
    wait_until: Callable[[Callable[[], object]], None],
) -> None:
    sandbox.stop()
    client = make_client(max_retries=0, max_queue_events=20, overflow="drop_oldest")
    track(client, 20)
    wait_until(lambda: client.stats().state is State.BACKING_OFF)
    track(client, 5, first=20)
    assert client.stats().dropped_total == 5


def test_a_batch_that_left_stays_as_it_was_though_it_could_not_leave_at_first(
    make_rig: Callable[..., Rig], sandbox: Sandbox
) -> None:
    rig = make_rig(sandbox.url)
    sandbox.stop()
    rig.clock.set(3600.0)
    rig.track(*numbered(5))
    rig.round()
    sandbox.faults(status=503)
    sandbox.start()
    rig.next_round()
    rig.clock.set(0.0)
    sandbox.faults()
    rig.next_round()
    assert numbers(sandbox) == list(range(5))
    assert len({each["idempotency_key"] for each in sandbox.requests()}) == 1


def ahead(rig: Rig) -> list[int]:
    """The numbers of what was read ahead."""
    found = rig.outbox.batches._taking._ahead
    return [] if found is None else [json.loads(row.data)["payload"]["n"] for row in found.rows]


class Holding(Peer):
    """Takes all events, and holds its answers to all requests but the first."""

    def __init__(self) -> None:
        super().__init__(self._hold)
        self.go_on = threading.Event()

    def _hold(self, request: Request) -> bytes:
        if len(self.requests) > 1:
            assert self.go_on.wait(LONG_SECONDS)
        return self.accept(request)


def test_the_next_batch_is_read_while_answers_are_awaited(
    make_rig: Callable[..., Rig],
    wait_until: Callable[[Callable[[], object]], None],
) -> None:
    with Holding() as segops:
        rig = make_rig(segops.url)
        rig.append(200)
        sending = threading.Thread(target=rig.round)
        sending.start()
        try:
            wait_until(lambda: ahead(rig) == list(range(40, 60)))
        finally:
            segops.go_on.set()
            sending.join(LONG_SECONDS)
        assert len(segops.requests) == 10
    assert segops.accepted == Counter(range(200))


def test_who_is_forgotten_after_they_were_read_ahead_is_not_sent(
    make_rig: Callable[..., Rig],
    wait_until: Callable[[Callable[[], object]], None],
) -> None:
    with Holding() as segops:
        rig = make_rig(segops.url)
        first = 40
        rig.append(first + 5)
        rig.track(Event("annabel", "page_viewed", payload={"n": first + 5}))
        rig.append(34, first=first + 6)
        sending = threading.Thread(target=rig.round)
        sending.start()
        try:
            wait_until(lambda: first + 5 in ahead(rig))
            assert rig.outbox.erasure.forget("annabel") == 1
        finally:
            segops.go_on.set()
            sending.join(LONG_SECONDS)
    assert segops.accepted == Counter({*range(first + 40)} - {first + 5})


def test_what_the_disk_fails_to_read_ahead_is_read_when_it_is_taken(
    make_rig: Callable[..., Rig], monkeypatch: pytest.MonkeyPatch
) -> None:
    was_tried = threading.Event()

    def fail(*_args: object) -> None:
        was_tried.set()
        raise StorageError("no", path="p")

    def accept(request: Request) -> bytes:
        if len(segops.requests) > 1:  # over the first connection, or once SegOps has answered
            was_tried.wait(LONG_SECONDS)
        return segops.accept(request)

    with Peer(accept) as segops:
        rig = make_rig(segops.url)
        monkeypatch.setattr(rig.outbox.batches, "read_ahead", fail)
        rig.append(200)
        rig.round()
        assert len(segops.requests) == 10
    assert segops.accepted == Counter(range(200))
    assert rig.told == []
    assert was_tried.is_set()


@pytest.mark.parametrize("skipped", [0, 1])
def test_who_was_forgotten_on_the_way_is_told_of_once(
    make_rig: Callable[..., Rig], skipped: int
) -> None:
    def react(_request: Request) -> bytes:
        assert rig.outbox.erasure.forget("annabel") == 1
        return answer(202, {"queued": 2 - skipped, "skipped": skipped})

    with Peer(react) as segops:
        rig = make_rig(segops.url)
        rig.track(*(Event(each, "page_viewed") for each in ("annabel", "bob")))
        rig.round()
    assert [each.batch_size for each in rig.told if isinstance(each, ErasedTooLateError)] == [1]
    assert rig.outbox.waiting.counts().pending == 0
