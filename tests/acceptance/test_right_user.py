"""A device that several people use, offline: each event arrives under its own user."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import TYPE_CHECKING

import pytest

from segops_durable import IdentityError
from support.kiosk import Kiosk, event

if TYPE_CHECKING:
    from collections.abc import Callable

    from segops_durable.sandbox import Sandbox
    from support.rig import Rig

pytestmark = pytest.mark.one_python

EVENTS = 400
OFFLINE_SECONDS = 7200
PEOPLE = ("ann", "bob", "carl", None)


def use_offline(rig: Rig, kiosk: Kiosk, sandbox: Sandbox) -> dict[int, float]:
    """Two hours without a network, in which people come and go; return when each event was."""
    sandbox.stop()
    times = {}
    for number in range(EVENTS):
        kiosk.user = PEOPLE[number // 7 % len(PEOPLE)]
        rig.track(event(kiosk.user, number))
        times[number] = rig.clock.time()
        rig.clock.move(OFFLINE_SECONDS / EVENTS)
        if not rig.delivery.sender.pause_seconds:
            rig.round()
    kiosk.user = None
    sandbox.start()
    return times


def drain(rig: Rig) -> None:
    for _ in range(20):
        rig.clock.move(300)
        rig.round()


def arrived(sandbox: Sandbox) -> dict[int, tuple[str | None, str, str]]:
    """For each event: who was there, who it was attributed to, and when it occurred."""
    rows = [(row["event"], row["user_id"]) for row in sandbox.events()]
    found = {
        each["payload"]["n"]: (each["payload"]["by"], user, each["occurred_at"])
        for each, user in rows
    }
    assert len(found) == len(rows), "one arrived twice"
    return found


@pytest.mark.parametrize("withheld", [set(), {"bob"}], ids=["all signed for", "one withheld"])
def test_after_2_hours_offline_each_event_arrives_under_the_user_it_was_tracked_for(
    make_rig: Callable[..., Rig], sandbox: Sandbox, withheld: set[str]
) -> None:
    sandbox.configure(require_signed=True)
    kiosk = Kiosk()
    kiosk.withheld = withheld
    callbacks = {"get_user": kiosk.get_user, "user_context_for": kiosk.user_context_for}
    rig = make_rig(sandbox.url, api_key="pk_test", **callbacks)
    times = use_offline(rig, kiosk, sandbox)
    drain(rig)
    found = arrived(sandbox)
    by = {number: PEOPLE[number // 7 % len(PEOPLE)] for number in range(EVENTS)}
    assert set(found) == {number for number, user in by.items() if user not in withheld}
    visitor = rig.outbox.owner.anonymous_id()
    for number, (tracked_by, user, occurred_at) in found.items():
        assert tracked_by == by[number]
        assert user == (tracked_by or visitor)
        assert datetime.fromisoformat(occurred_at) == datetime.fromtimestamp(
            times[number], timezone.utc
        )
    waiting = rig.outbox.waiting.counts().pending
    assert waiting == EVENTS - len(found)
    assert rig.outbox.waiting.count_of(rig.delivery.sender.held) == (
        {"user:bob": waiting} if withheld else {}
    )
    told = [error.identity for error in rig.told if isinstance(error, IdentityError)]
    assert told == sorted(withheld)
    mints = [row for row in sandbox.requests() if "session" in row["path"]]
    assert len(mints) == len(PEOPLE) - len(withheld)
    kiosk.withheld = set()  # and when the signer is there again, so are they
    drain(rig)
    assert set(arrived(sandbox)) == set(by)
    assert all(user == (by[number] or visitor) for number, (_, user, _) in arrived(sandbox).items())
