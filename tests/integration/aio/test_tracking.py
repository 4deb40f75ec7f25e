"""Storing from tasks: each hears of its own, and of nothing else's."""

from __future__ import annotations

import json
import threading
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

import anyio
import anyio.lowlevel
import pytest

from segops_durable import (
    ConfigurationError,
    Context,
    Event,
    InvalidEventError,
    QueueFullError,
    UserContext,
)
from support.aio import at_once, track, tracking, wait_for
from support.events import numbers

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from segops_durable import Progress
    from segops_durable.aio import AsyncSegOpsClient
    from segops_durable.sandbox import Sandbox

    Run = Callable[..., Any]
    Make = Callable[..., AsyncSegOpsClient]

WHO: ContextVar[str] = ContextVar("WHO", default="nobody")


def test_of_calls_that_share_a_commit_each_hears_its_own_error(
    run: Run, make_async: Make, sandbox: Sandbox
) -> None:
    async def main() -> None:
        async with make_async(max_event_bytes=1000) as client:
            calls = tracking(client, range(100))
            calls[7] = lambda: client.track(user_id="u", event_type="e", payload={"n": {1}})
            calls[50] = lambda: client.track(user_id="u", event_type="e", payload={"n": "x" * 1000})
            calls[60] = lambda: client.track_many([Event("u", "e")], checkpoint=("", 1))
            calls[70] = lambda: client.track(user_id="", event_type="e")
            errors = await at_once(calls)
            wrong = {number: type(error) for number, error in enumerate(errors) if error}
            assert wrong == {
                7: InvalidEventError,
                50: InvalidEventError,
                60: ConfigurationError,
                70: InvalidEventError,
            }
            assert (await client.flush(10)).ok

    run(main)
    assert sorted(numbers(sandbox)) == sorted(set(range(100)) - {7, 50, 60, 70})


def test_those_for_whom_there_is_no_room_hear_so_and_the_others_are_stored(
    run: Run, make_async: Make, sandbox: Sandbox
) -> None:
    async def main() -> None:
        sandbox.stop()
        async with make_async(max_queue_events=5, shutdown_timeout=0) as client:
            errors = await at_once(tracking(client, range(20)))
            assert [type(error) for error in errors if error] == [QueueFullError] * 15
            assert len({id(error) for error in errors if error}) == 15  # a traceback belongs to one
            assert (await client.stats()).pending == 5

    run(main)


def test_those_who_block_wait_until_there_is_room(
    run: Run, make_async: Make, sandbox: Sandbox
) -> None:
    async def main() -> None:
        options = {"max_queue_events": 5, "overflow": "block", "overflow_timeout": 60}
        async with make_async(**options, batch_size=5) as client:
            assert await at_once(tracking(client, range(100))) == [None] * 100
            assert (await client.flush(20)).ok

    run(main)
    assert sorted(numbers(sandbox)) == list(range(100))


def test_those_who_block_give_up_when_their_time_is_over(
    run: Run, make_async: Make, sandbox: Sandbox
) -> None:
    async def main() -> None:
        sandbox.stop()
        options = {"max_queue_events": 5, "overflow": "block", "overflow_timeout": 0.1}
        async with make_async(**options, shutdown_timeout=0) as client:
            errors = await at_once(tracking(client, range(8)))
            assert [type(error) for error in errors if error] == [QueueFullError] * 3
            assert len(await at_once(tracking(client, [9]))) == 1  # and others are heard

    run(main)


@pytest.mark.parametrize("key", ["sk_test", "pk_test"])
def test_an_event_is_stored_as_it_was_when_it_was_tracked(
    run: Run, make_async: Make, sandbox: Sandbox, key: str
) -> None:
    payload: dict[str, Any] = {"n": 1, "in": [1]}

    async def main() -> None:
        async with make_async(key) as client:
            is_tracked = anyio.Event()

            async def call() -> None:
                is_tracked.set()
                await client.track(Event("u", "e", payload=payload))

            async with anyio.create_task_group() as tasks:
                tasks.start_soon(call)
                await is_tracked.wait()
                payload["n"] = 2
                payload["in"].append(2)
            assert (await client.flush(10)).ok

    run(main)
    assert [row["event"]["payload"] for row in sandbox.events()] == [{"n": 1, "in": [1]}]


def test_the_user_is_the_one_of_the_task_that_tracks(
    run: Run, make_async: Make, sandbox: Sandbox
) -> None:
    asked: list[int] = []

    def get_user() -> UserContext | None:
        asked.append(threading.get_ident())
        return None if WHO.get() == "nobody" else UserContext(WHO.get())

    async def main() -> None:
        async with make_async("pk_test", get_user=get_user, user_context_for=UserContext) as client:

            async def visit(number: int) -> None:
                WHO.set(f"user-{number % 3}")
                await anyio.lowlevel.checkpoint()
                await track(client, number)

            async with anyio.create_task_group() as tasks:
                for number in range(30):
                    tasks.start_soon(visit, number)
            assert asked.count(threading.get_ident()) == 30
            await track(client, 30)
            visitor = await client.anonymous_id()
            assert (await client.flush(20)).ok
            found = {row["event"]["payload"]["n"]: row for row in sandbox.events()}
            whose = [found[number]["user_id"] for number in range(31)]
            assert whose == [*(f"user-{number % 3}" for number in range(30)), visitor]
            assert {row["event"]["anonymous_id"] for row in found.values()} == {visitor}

    run(main)


def test_under_a_public_key_each_hears_its_own_error_too(run: Run, make_async: Make) -> None:
    async def main() -> None:
        async with make_async("pk_test") as client:
            calls = tracking(client, range(10))
            calls[3] = lambda: client.track(user_id="u", event_type="e", payload={"n": {1}})
            calls[4] = lambda: client.track(user_id="u", event_type="e", anonymous_id="another's")
            errors = await at_once(calls)
            assert [number for number, error in enumerate(errors) if error] == [3, 4]

    run(main)


def test_what_is_done_to_events_before_the_disk_is_done_in_the_task_that_tracks(
    run: Run, make_async: Make, sandbox: Sandbox
) -> None:
    def before_store(event: Event) -> Event | None:
        if event.payload["n"] == 1:
            return None
        event.payload |= {"who": WHO.get(), "thread": threading.get_ident()}
        return event

    async def main() -> None:
        WHO.set("me")
        async with make_async(before_store=before_store) as client:
            assert await at_once(tracking(client, range(3))) == [None] * 3
            assert (await client.flush(10)).ok
            assert (await client.stats()).screened_out == 1

    run(main)
    found = [row["event"]["payload"] for row in sandbox.events()]
    thread = threading.get_ident()
    expected = [{"n": n, "who": "me", "thread": thread} for n in (0, 2)]
    assert sorted(found, key=lambda each: each["n"]) == expected


def test_tasks_that_are_cancelled_leave_whole_events_or_none_and_disturb_nobody(
    run: Run, make_async: Make, sandbox: Sandbox
) -> None:
    told: list[int] = []

    async def main() -> None:
        async with make_async() as client:
            await client.start()

            async def insist(number: int) -> None:
                await track(client, number)
                told.append(number)

            for turn in range(20):
                with anyio.CancelScope() as scope:
                    async with anyio.create_task_group() as tasks:
                        for number in range(10):
                            tasks.start_soon(insist, 100 * turn + number)
                        for _ in range(turn % 4):
                            await anyio.lowlevel.checkpoint()
                        scope.cancel()
                await insist(100 * turn + 50)
            assert (await client.flush(20)).ok

    run(main)
    found = numbers(sandbox)
    assert len(set(found)) == len(found)
    assert (
        set(told) <= set(found) <= {100 * turn + n for turn in range(20) for n in (*range(10), 50)}
    )


def test_many_are_stored_in_chunks_and_those_before_a_bad_one_stay(
    run: Run, make_async: Make
) -> None:
    def events() -> Iterator[dict[str, Any]]:
        reused: dict[str, Any] = {"user_id": "u", "event_type": "e"}
        for number in range(1100):
            reused["payload"] = {"n": number if number != 1050 else {1}}
            yield reused

    async def main() -> None:
        async with make_async(max_retries=0, shutdown_timeout=0) as client:
            with pytest.raises(InvalidEventError, match="payload"):
                await client.track_many(events())
            stats = await client.stats()
            assert stats.pending + stats.accepted_total == 1000
            with pytest.raises(InvalidEventError, match="iterable"):
                await client.track_many(5)  # type: ignore[arg-type]
            assert await client.track_many([]) == 0
            assert await client.track_many([{"user_id": "u", "event_type": "e"}] * 20) == 20

    run(main)


def test_many_with_a_checkpoint_are_stored_with_it_or_not_at_all(
    run: Run, make_async: Make, sandbox: Sandbox
) -> None:
    async def main() -> None:
        async with make_async() as client:
            rows = [Event("u", "e", payload={"n": n}) for n in range(700)]
            assert await client.track_many(rows, checkpoint=("job", 1)) == 700
            rows[600].payload["n"] = {1}
            with pytest.raises(InvalidEventError):
                await client.track_many(rows, checkpoint=("job", 2))
            assert await client.checkpoint("job") == 1
            assert await client.track_many([], checkpoint=("job", 3)) == 0
            assert await client.checkpoint("job") == 3
            with pytest.raises(ConfigurationError, match="checkpoint"):
                await client.track_many([], checkpoint=("job",))  # type: ignore[arg-type]
            assert (await client.flush(20)).ok

    run(main)
    assert numbers(sandbox) == list(range(700))


def test_while_many_are_made_other_tasks_have_their_turn(run: Run, make_async: Make) -> None:
    turns: list[int] = []
    turns_when_read: list[int] = []

    async def others() -> None:
        while True:
            turns.append(1)
            await anyio.lowlevel.checkpoint()

    def events() -> Iterator[Event]:
        for _ in range(5000):
            yield Event("u", "e")
        turns_when_read.append(len(turns))

    async def main() -> None:
        async with make_async(shutdown_timeout=0) as client, anyio.create_task_group() as tasks:
            tasks.start_soon(others)
            # with a checkpoint nothing is waited for until the last one is read
            await client.track_many(events(), checkpoint=("job", 1))
            tasks.cancel_scope.cancel()

    run(main)
    assert turns_when_read[0] >= 5000 // 20 - 1


def test_an_import_that_is_cancelled_goes_on_where_it_was(
    run: Run, make_async: Make, sandbox: Sandbox, tmp_path: Path
) -> None:
    file = tmp_path / "many.jsonl"
    lines = [
        {"user_id": "u", "event_type": "e", "payload": {"n": n}, "occurred_at": "2026-01-01T00:00Z"}
        for n in range(20)
    ]
    file.write_text("".join(json.dumps(each) + "\n" for each in lines))
    begun, go_on = threading.Event(), threading.Event()

    def hold(_progress: Progress) -> None:
        begun.set()
        assert go_on.wait(60)

    async def main() -> None:
        async with make_async(max_queue_events=5, overflow="block") as client:
            await client.start()
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(lambda: client.import_events(file, on_progress=hold))
                await wait_for(begun.is_set)
                tasks.cancel_scope.cancel()
            go_on.set()
            result = await client.import_events(file)
            assert (result.stored + result.stored_before, result.rejected) == (20, 0)
            assert result.stored_before > 0
            assert (await client.flush(20)).ok

    run(main)
    assert sorted(numbers(sandbox)) == list(range(20))


def test_what_was_rejected_and_mended_is_stored(
    run: Run, make_async: Make, sandbox: Sandbox, tmp_path: Path
) -> None:
    file, rejects = tmp_path / "one.jsonl", tmp_path / "rejects.jsonl"
    file.write_text('{"user_id": "", "event_type": "e", "payload": {"n": 1}}\n')

    async def main() -> None:
        async with make_async() as client:
            assert (await client.import_events(file, rejects=rejects)).rejected == 1
            rejects.write_text(
                rejects.read_text().replace('\\"user_id\\": \\"', '\\"user_id\\": \\"u')
            )
            assert (await client.import_rejected(rejects)).stored == 1
            await client.identify(Context("u", {"n": 2}))
            assert (await client.flush(10)).ok

    run(main)
    assert numbers(sandbox) == [1, 2]
