"""Which events of tasks leave first, where they share a commit."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from segops_durable import Event, InvalidEventError
from support.aio import at_once
from support.events import numbers

if TYPE_CHECKING:
    from collections.abc import Callable

    from segops_durable.aio import AsyncSegOpsClient
    from segops_durable.sandbox import Sandbox

    Run = Callable[..., Any]
    Make = Callable[..., AsyncSegOpsClient]


def test_a_priority_is_that_of_each_event_whoever_shares_its_commit(
    run: Run, make_async: Make, sandbox: Sandbox
) -> None:
    async def main() -> None:
        sandbox.stop()
        async with make_async(max_retries=0) as client:
            await at_once(
                [
                    lambda: client.track(user_id="u", event_type="e", payload={"n": 0}),
                    lambda: client.track(Event("u", "e", payload={"n": 1}, priority="low")),
                    lambda: client.identify(user_id="u", traits={"n": 2}, priority="high"),
                    lambda: client.track_many(
                        [{"user_id": "u", "event_type": "e", "payload": {"n": 3}}] * 4
                        + [Event("u", "e", payload={"n": 4}, priority="high")] * 4
                    ),
                ]
            )
            with pytest.raises(InvalidEventError, match="priority"):
                await client.track(user_id="u", event_type="e", priority="urgent")
            sandbox.start()
            assert (await client.flush(timeout=60)).ok

    run(main)
    found = numbers(sandbox)
    assert set(found[:5]) == {2, 4}
    assert set(found[5:10]) == {0, 3}
    assert found[10:] == [1]
