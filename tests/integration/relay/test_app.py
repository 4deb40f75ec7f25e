"""What a relay answers to those who post events, and what becomes of these."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from support.relays import RunningRelay, event

if TYPE_CHECKING:
    from collections.abc import Callable

    from segops_durable.sandbox import Sandbox

pytestmark = pytest.mark.one_python


def numbers(sandbox: Sandbox) -> list[int]:
    return [row["event"]["payload"]["n"] for row in sandbox.events()]


def test_a_batch_is_answered_as_segops_would_and_delivered(
    relay: RunningRelay, sandbox: Sandbox, wait_until: Callable[[Callable[[], object]], None]
) -> None:
    answer = relay.track(event(1), event(2))
    assert (answer.status_code, answer.json()) == (202, {"queued": 2, "skipped": 0})
    single = relay.post("/api/ingestion/track/", event(3))
    assert (single.status_code, single.json()) == (202, {"queued": True})
    wait_until(lambda: len(sandbox.events()) == 3)
    assert numbers(sandbox) == [1, 2, 3]
    assert relay.stop() == 0


def test_what_was_answered_survives_a_kill_and_is_delivered_by_the_next_life(
    relay: RunningRelay, sandbox: Sandbox, wait_until: Callable[[Callable[[], object]], None]
) -> None:
    sandbox.stop()
    assert relay.track(*map(event, range(20))).status_code == 202
    relay.kill()
    sandbox.start()
    relay.start()
    wait_until(lambda: len(sandbox.events()) == 20)
    assert numbers(sandbox) == [*range(20)]
