"""A knock that came to nobody is told to whoever has the place of the sender by then."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

from segops_durable.delivery import knocking
from segops_durable.delivery.knocking import DEAF_AFTER, FULL, OVER, ROUND, Knocking
from segops_durable.outbox.sender_lock import SenderLock
from segops_durable.system.knocks import Ear, Knock

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from segops_durable.outbox import Outbox
    from support.rig import Rig

LONG_INTERVAL = 600.0

pytestmark = pytest.mark.skipif(
    sys.platform != "linux", reason="a datagram to a port may take its time"
)


class Deaf:
    """One that has the place of the sender, and no thread that hears."""

    def __init__(self, outbox: Outbox) -> None:
        self.lock = SenderLock(outbox.path)
        assert self.lock.try_acquire()
        ear = self.lock.listen(LONG_INTERVAL)
        assert ear is not None
        self.ear: Ear = ear
        self.ear._socket.setblocking(False)  # noqa: FBT003 - the standard library's

    def heard(self) -> list[str]:
        """What it would have heard since."""
        found = []
        while (said := self.ear.hear()) is not None:
            found.append(said)
        return found

    def leave(self) -> None:
        self.lock.release()
        self.ear.close()


@pytest.fixture
def outbox(make_rig: Callable[..., Rig], monkeypatch: pytest.MonkeyPatch) -> Outbox:
    monkeypatch.setattr(knocking, "LOOK_SECONDS", 0.0)
    return make_rig("http://127.0.0.1:9").outbox


@pytest.fixture
def standby(outbox: Outbox) -> Iterator[Knocking]:
    """What another process has, to knock by."""
    standby = Knocking(outbox, LONG_INTERVAL)
    yield standby
    standby.forget()


def test_what_does_not_fit_in_is_told_when_what_did_is_heard(
    outbox: Outbox, standby: Knocking
) -> None:
    sender = Deaf(outbox)
    standby.tell({FULL})
    others = Knock(sender.ear.address)
    while not others.unsaid:
        assert others.send(FULL)
    standby.want(ROUND)
    standby.tell()
    assert set(sender.heard()) == {FULL}
    assert not standby.look()
    assert sender.heard() == [ROUND]
    assert not standby.look()
    assert standby.remaining is None
    others.close()
    sender.leave()


@pytest.mark.parametrize("looks", [0, 1])
def test_what_one_that_is_gone_has_not_heard_is_told_to_the_next(
    outbox: Outbox, standby: Knocking, looks: int
) -> None:
    first = Deaf(outbox)
    standby.want(ROUND)
    standby.tell()
    first.leave()
    second = Deaf(outbox)
    assert all(standby.look() for _ in range(looks))
    standby.tell({FULL})
    assert set(second.heard()) == {FULL, ROUND}
    second.leave()


@pytest.mark.parametrize("said", [ROUND, FULL, OVER])
def test_what_one_that_is_stopped_has_not_heard_is_told_to_whoever_has_its_place(
    outbox: Outbox, standby: Knocking, said: str
) -> None:
    first = Deaf(outbox)
    standby._interval = 1.0
    standby.want(said)
    standby.tell()
    assert first.lock.take_away(first.ear.address) is not None  # by a third process
    second = Deaf(outbox)
    assert [standby.look() for _ in range(DEAF_AFTER)] == [False] * (DEAF_AFTER - 1) + [True]
    assert second.lock.is_held
    standby.tell()
    assert second.heard() == [said]
    for each in (first, second):
        each.leave()


def test_what_one_hears_that_has_just_lost_the_place_is_told_to_the_next(
    make_rig: Callable[..., Rig],
) -> None:
    rig = make_rig("http://127.0.0.1:9")
    sender = Deaf(rig.outbox)
    rig.delivery.flusher.hear(ROUND)
    rig.delivery.flusher._guarded_round()
    assert rig.state == "standby"
    assert sender.heard() == [ROUND]
    rig.delivery.flusher._knocking.forget()
    sender.leave()
