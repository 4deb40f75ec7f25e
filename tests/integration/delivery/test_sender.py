"""A sender works on one thread at a time, and keeps to what the one before it was asked."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest

import segops_durable
from segops_durable import State
from support.peer import Peer, Request, answer

if TYPE_CHECKING:
    from collections.abc import Callable

    from support.rig import Rig


def test_a_sender_that_is_at_work_refuses_a_second_thread(make_rig: Callable[..., Rig]) -> None:
    """It would settle what the first one has in hand, and send it again."""
    arrived, go_on = threading.Event(), threading.Event()

    def accept(request: Request) -> bytes | None:
        arrived.set()
        go_on.wait(60)
        return segops.accept(request)

    with Peer(accept) as segops:
        rig = make_rig(segops.url)
        rig.append(20)
        first = threading.Thread(target=rig.round)
        first.start()
        try:
            assert arrived.wait(60)
            for call in (rig.round, rig.delivery.sender.settle_owed, rig.delivery.sender.give_way):
                with pytest.raises(RuntimeError, match="another thread"):
                    call()
        finally:
            go_on.set()
            first.join(60)
        assert len(segops.requests) == 1
        assert rig.outbox.waiting.counts().pending == 0
        rig.append(20, first=20)
        rig.round()  # on whichever thread, once the other is through
        assert rig.outbox.waiting.counts().pending == 0


def test_an_order_that_cannot_be_read_when_a_sender_takes_over_is_read_before_it_sends(
    make_rig: Callable[..., Rig], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail() -> float:
        raise segops_durable.StorageError("the disk failed", path="outbox.db")

    with Peer(lambda _request: answer(429, {"detail": "Later."}, {"Retry-After": "600"})) as segops:
        rig = make_rig(segops.url)
        rig.append(1)
        rig.round()
        rig.close()
        again = make_rig(segops.url, clock=rig.clock)
        with monkeypatch.context() as failing:
            failing.setattr(again.outbox, "order_left", fail)
            with pytest.raises(segops_durable.StorageError):
                again.round(is_asked_for=True)
        again.round(is_asked_for=True)
        assert again.delivery.sender.state is State.RATE_LIMITED
        assert len(segops.requests) == 1


def test_a_batch_that_was_taken_but_not_sent_when_the_client_stops_is_given_back(
    make_rig: Callable[..., Rig],
) -> None:
    """In the next process its events may have their times corrected, and fill a larger batch."""

    def stop_and_accept(request: Request) -> bytes:
        rig.delivery.flusher.stop(0)
        return segops.accept(request)

    with Peer(stop_and_accept) as segops:
        rig = make_rig(segops.url)
        rig.append(40)
        rig.round()
        assert len(segops.requests) == 1
        assert rig.outbox.waiting.counts().pending == 20
        assert rig.outbox._store.read("SELECT * FROM in_flight") == []
