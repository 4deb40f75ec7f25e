"""What looks after an asynchronous client."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from segops_durable import ConfigurationError
from support.aio import track
from support.events import numbered, numbers

if TYPE_CHECKING:
    from collections.abc import Callable

    from segops_durable.aio import AsyncSegOpsClient
    from segops_durable.sandbox import Sandbox

    Run = Callable[..., Any]
    Make = Callable[..., AsyncSegOpsClient]


def test_dead_letters_are_read_put_back_and_removed(
    run: Run, make_async: Make, sandbox: Sandbox
) -> None:
    async def main() -> None:
        async with make_async(max_retries=0, batch_size=1) as client:
            sandbox.faults(status=400, json={"detail": "no"})
            assert await client.track_many(numbered(150)) == 150
            assert (await client.flush(60)).pending == 0
            assert (await client.stats()).dead == 150
            letters = [letter async for letter in client.dead_letters()]
            found = [each.event["payload"]["n"] for each in letters if each.event]
            assert found == list(range(150))
            sandbox.faults()
            kept = [each.id for each in letters[:2]]
            assert await client.discard_dead_letters(each.id for each in letters[2:]) == 148
            assert await client.retry_dead_letters(kept) == 2
            assert await client.retry_dead_letters() == 0
            assert (await client.flush(20)).ok

    run(main)
    assert numbers(sandbox) == [0, 1]


def test_who_uses_the_device_and_what_waits_of_them_is_looked_after(
    run: Run, make_async: Make, sandbox: Sandbox
) -> None:
    async def main() -> None:
        sandbox.stop()
        async with make_async("pk_test", shutdown_timeout=0) as client:
            first = await client.anonymous_id()
            await track(client, 1)
            await client.reset()
            assert await client.anonymous_id() != first
            await client.reset_session()
            assert await client.forget(first) == 1
            with pytest.raises(ConfigurationError, match="identity"):
                await client.forget("")

    run(main)


def test_a_key_is_replaced_while_the_client_runs(
    run: Run, make_async: Make, sandbox: Sandbox
) -> None:
    async def main() -> None:
        sandbox.configure(revoked_keys=["sk_test"])
        async with make_async() as client:
            await track(client, 1)
            assert (await client.flush(20)).blocked
            await client.set_api_key("sk_other")
            assert (await client.flush(20)).ok
            with pytest.raises(ConfigurationError):
                await client.set_api_key("pk_other")

    run(main)
    assert numbers(sandbox) == [1]
