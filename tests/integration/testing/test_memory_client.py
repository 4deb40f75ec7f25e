"""A client in memory beside a real one: it takes, refuses and tells the same."""

from __future__ import annotations

import inspect
import json
import math
from datetime import datetime, timezone
from decimal import Decimal
from enum import Enum
from functools import partial
from typing import TYPE_CHECKING, Any
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from segops_durable import (
    ClosedError,
    Event,
    Options,
    QueueFullError,
    SegOpsClient,
    SegOpsError,
    State,
    UserContext,
)
from segops_durable.outbox.checkpoints import Checkpoints
from segops_durable.testing import MemoryClient
from segops_durable.testing.memory import MemoryCheckpoints
from support.examples import examples

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

NOWHERE = "http://127.0.0.1:9"
NAMES = [name for name in dir(SegOpsClient) if not name.startswith("_")]


class Color(Enum):
    RED = "red"


ODD: list[Any] = [
    None, True, 0, 5, -1, 1.5, math.nan, math.inf, "", " ", "u-1", "\ud800", "é", b"u",
    "x" * 300_000, UUID(int=1), Decimal("1.20"), Decimal("NaN"), Color.RED,
    {"a", "b"}, object, 10**400,
    datetime(2026, 1, 31, 12, tzinfo=timezone.utc), datetime(2026, 1, 31, 12),  # noqa: DTZ001 - odd
    "2026-01-31T12:00:00+01:00", "2026-01-31T12:00:00", "yesterday", "page_viewed", "Page Viewed",
]  # fmt: skip
VALUES = st.recursive(
    st.sampled_from(ODD) | st.text(max_size=5) | st.integers() | st.floats(),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3)
    ),
    max_leaves=6,
)
ONES = st.fixed_dictionaries(
    {},
    optional={
        "user_id": st.just("u-1") | VALUES,
        "event_type": st.just("page_viewed") | VALUES,
        "occurred_at": st.none() | VALUES,
        "payload": st.dictionaries(st.text(max_size=3), VALUES, max_size=3) | VALUES,
        "anonymous_id": st.none() | VALUES,
    },
)


@pytest.fixture(params=["sk_test", "pk_test"])
def both(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[list[SegOpsClient]]:
    """A real client that reaches nobody, and one in memory."""
    options: dict[str, Any] = {
        "get_user": lambda: UserContext("u-1", "visitor"),
        "queue_path": tmp_path / "outbox.db",
        "durability": "normal",
        "flush_interval": 3600,
        "on_error": lambda _error: None,
    }
    clients = [kind(NOWHERE, request.param, **options) for kind in (SegOpsClient, MemoryClient)]
    yield clients
    for each in clients:
        each.shutdown(0)


def outcome(act: Callable[[], object]) -> object:
    """What a call gives, or how it fails."""
    try:
        return act()
    except SegOpsError as error:
        data = {name: value for name, value in vars(error).items() if name != "path"}
        return type(error), str(error), data
    except OSError as error:
        return type(error), str(error)


def newest(client: SegOpsClient) -> object:
    """The event that was stored last, but for a time that was filled in."""
    if isinstance(client, MemoryClient):
        data = client._outbox._rows[-1].data  # type: ignore[attr-defined]  # it is of its own kind
    else:
        data = client._outbox.waiting.peek(1_000_000)[-1].data
    event: dict[str, Any] = json.loads(data)
    if event.get("occurred_at", "").startswith("20") and not event["occurred_at"].startswith(
        "2026-01"
    ):
        del event["occurred_at"]
    return event


@pytest.mark.parametrize("name", NAMES)
def test_it_has_each_call_with_the_same_signature(name: str) -> None:
    real, ours = getattr(SegOpsClient, name), getattr(MemoryClient, name)
    assert callable(real) == callable(ours)
    if callable(real):
        assert inspect.signature(ours) == inspect.signature(real)


def test_it_is_made_with_the_same_arguments() -> None:
    assert inspect.signature(MemoryClient) == inspect.signature(SegOpsClient)
    assert set(inspect.signature(MemoryClient).parameters) == set(Options.__dataclass_fields__)


@settings(
    max_examples=examples(150),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(fields=ONES, form=st.sampled_from(["dict", "keywords", "many", "identify"]))
def test_both_store_and_refuse_the_same_events(
    both: list[SegOpsClient], fields: dict[str, Any], form: str
) -> None:
    def store(client: SegOpsClient) -> object:
        if form == "keywords":
            client.track(**fields)
        elif form == "many":
            client.track_many([Event("u-1", "first"), fields])
        elif form == "identify":
            client.identify({**fields, "traits": fields.get("payload")})
        else:
            client.track(fields)
        return newest(client)

    real, ours = (outcome(partial(store, each)) for each in both)
    assert ours == real


CALLS: list[Callable[[SegOpsClient], object]] = [
    lambda client: client.track(7),  # type: ignore[arg-type]  # that is what is tried
    lambda client: client.track_many(7),  # type: ignore[arg-type]
    lambda client: client.track(user_id="u", event_type="e", payload={"x": "x" * 300_000}),
    lambda client: client.track_many([Event("u", "e")], checkpoint=("job", {"at": 1})),
    lambda client: client.track_many([Event("u", "e")], checkpoint=("job", {1, 2})),
    lambda client: client.track_many([Event("u", "e")], checkpoint=("", 1)),
    lambda client: client.track_many([Event("u", "e")], checkpoint=7),  # type: ignore[arg-type]
    lambda client: client.checkpoint("job"),
    lambda client: client.checkpoint("other"),
    lambda client: client.checkpoint(""),
    lambda client: client.forget(""),
    lambda client: client.forget("nobody"),
    lambda client: client.forget("u"),
    lambda client: list(client.dead_letters()),
    lambda client: client.retry_dead_letters(),
    lambda client: client.retry_dead_letters([1]),
    lambda client: client.retry_dead_letters(["x"]),  # type: ignore[list-item]
    lambda client: client.discard_dead_letters([1]),
    lambda client: client.discard_dead_letters(7),  # type: ignore[arg-type]
    lambda client: client.set_api_key("mk_no"),
    lambda client: client.flush(float("nan")),
    lambda client: client.flush("soon"),  # type: ignore[arg-type]
    lambda client: client.shutdown("soon"),  # type: ignore[arg-type]
    lambda client: client.reset_session(),
    lambda client: client.import_events("/nowhere/at/all.xyz"),
    lambda client: client.import_rejected(None),  # type: ignore[arg-type]
]


def test_each_call_gives_the_same_or_fails_in_the_same_words(both: list[SegOpsClient]) -> None:
    for number, call in enumerate(CALLS):
        real, ours = (outcome(partial(call, each)) for each in both)
        assert ours == real, number


@pytest.mark.parametrize(
    "options",
    [
        {"batch_size": 0},
        {"api_key": "mk_x"},
        {"api_url": "http://example.com"},
        {"queue_path": "\0"},
        {"before_store": 3},
        {"max_in_flight": 2, "api_key": "pk_x"},
    ],
)
def test_both_refuse_the_same_options(options: dict[str, Any], tmp_path: Path) -> None:
    chosen = {"api_url": NOWHERE, "api_key": "sk_x", "queue_path": tmp_path / "q.db", **options}
    real, ours = (outcome(partial(kind, **chosen)) for kind in (SegOpsClient, MemoryClient))
    assert ours == real
    assert isinstance(ours, tuple)


def test_both_refuse_every_call_once_they_are_shut_down(both: list[SegOpsClient]) -> None:
    for client in both:
        client.shutdown(0)
        client.shutdown()  # safe twice
        for call in (
            lambda c=client: c.track(user_id="u", event_type="e"),
            client.flush,
            client.stats,
            client.dead_letters,
            client.reset,
            lambda c=client: c.anonymous_id,
        ):
            with pytest.raises(ClosedError, match="the client is shut down"):
                call()


def test_events_wait_until_they_are_flushed_and_are_there_all_the_time() -> None:
    with MemoryClient(NOWHERE, "sk_test") as client:
        client.track(user_id="u-1", event_type="page_viewed", payload={"n": 1})
        client.identify(user_id="u-2", traits={"plan": "free"})
        assert client.events == [
            Event("u-1", "page_viewed", payload={"n": 1}),
            {"event_type": "context_identified", "payload": {"plan": "free"}},
        ]
        assert client.events.by_user("u-2").wait_for(1)
        assert (client.stats().pending, client.stats().accepted_total) == (2, 0)
        assert client.flush().sent == 2
        assert client.flush().sent == 0
        assert (client.stats().pending, client.stats().accepted_total) == (0, 2)
        assert client.stats().state is State.IDLE
        assert client.forget("u-1") == 0  # it is SegOps' by now
        client.track(user_id="u-1", event_type="page_viewed")
        assert client.forget("u-1") == 1
        assert len(client.events) == 2
    assert client.shutdown().ok
    assert len(client.events) == 2  # to be looked at after the program under test has ended


def test_under_a_public_key_an_event_is_of_whoever_uses_the_device() -> None:
    users = iter([UserContext("u-1"), None, UserContext("u-2")])
    client = MemoryClient(NOWHERE, "pk_test", get_user=lambda: next(users))
    for _ in range(3):
        client.track(user_id="somebody", event_type="e")
    assert [each["user_id"] for each in client.events] == ["u-1", client.anonymous_id, "u-2"]
    visitor = client.anonymous_id
    client.reset()
    assert client.anonymous_id != visitor


def test_callbacks_are_asked_and_told() -> None:
    told: list[SegOpsError] = []

    def get_user() -> UserContext:
        raise OSError("no session")

    client = MemoryClient(
        NOWHERE,
        "pk_test",
        get_user=get_user,
        before_store=lambda event: None if event.event_type == "dropped" else event,
        on_error=told.append,
    )
    client.track(user_id="u", event_type="dropped")
    client.track(user_id="u", event_type="kept")
    assert client.events == [{"event_type": "kept"}]
    assert client.stats().screened_out == 1
    assert [type(each).__name__ for each in told] == ["IdentityError"]
    assert client.stats().last_error is told[0]


@pytest.mark.parametrize("caps", [{"max_queue_events": 2}, {"max_queue_bytes": 200}])
def test_what_may_wait_at_most_is_kept_to(caps: dict[str, int]) -> None:
    def fill(overflow: str) -> tuple[MemoryClient, bool]:
        client = MemoryClient(NOWHERE, "sk_test", overflow=overflow, **caps)  # type: ignore[arg-type]
        try:
            for number in range(3):
                client.track(user_id="u", event_type="e", payload={"n": number})
        except QueueFullError:
            return client, True
        return client, False

    client, was_refused = fill("raise")
    assert was_refused
    assert client.events.payloads == [{"n": 0}, {"n": 1}]
    client, was_refused = fill("drop_oldest")
    assert not was_refused
    assert client.events.payloads == [{"n": 1}, {"n": 2}]
    assert client.stats().dropped_total == 1
    client, was_refused = fill("block")  # what waits is accepted, and makes room
    assert not was_refused
    assert client.events.payloads == [{"n": 0}, {"n": 1}, {"n": 2}]


def test_a_file_is_imported_once_however_often_it_is_asked_for(tmp_path: Path) -> None:
    file = tmp_path / "events.jsonl"
    file.write_text('{"user_id": "u-1", "event_type": "seen"}\n' * 3 + "no json\n")
    client = MemoryClient(NOWHERE, "sk_test")
    first, second = client.import_events(file), client.import_events(file)
    assert (first.stored, first.rejected) == (3, 1)
    assert len(client.events) == 3
    assert second.stored == 0


def test_neither_a_file_nor_a_thread_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import threading  # noqa: PLC0415 - for this alone

    monkeypatch.setattr(
        threading.Thread, "start", lambda _self: pytest.fail("a thread was started")
    )
    with MemoryClient(NOWHERE, "sk_test", queue_path=tmp_path / "outbox.db") as client:
        client.track_many([Event("u", "e")] * 1000)
    assert list(tmp_path.iterdir()) == []


def test_it_knows_of_jobs_whatever_an_outbox_does() -> None:
    names = [name for name in vars(Checkpoints) if not name.startswith("_")]
    assert names
    assert [name for name in names if not hasattr(MemoryCheckpoints, name)] == []
