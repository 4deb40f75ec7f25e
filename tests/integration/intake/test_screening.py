"""What an application does to events before they reach the disk."""

from __future__ import annotations

import json
import re
import threading
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from segops_durable import ConfigurationError, Event, InvalidEventError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from segops_durable import SegOpsClient
    from segops_durable.sandbox import Sandbox

CARD = "4111 1111 1111 1111"


def redacted(event: Event) -> Event | None:
    """Drops what robots do, and takes cards out of the rest."""
    if event.user_id == "robot":
        return None
    if event.user_id == "odd":
        raise KeyError("card")
    event.payload.pop("card", None)
    event.payload.get("nested", {}).pop("card", None)
    event.payload["seen"] = True
    return event


def sent(client: SegOpsClient, sandbox: Sandbox) -> list[dict[str, Any]]:
    assert client.flush(timeout=60).ok
    return [row["event"] for row in sandbox.events()]


def test_what_is_taken_out_of_an_event_never_reaches_the_disk(
    make_client: Callable[..., SegOpsClient], sandbox: Sandbox, tmp_path: Path, queue_path: Path
) -> None:
    client = make_client(before_store=redacted)
    payload = {"card": CARD, "nested": {"card": CARD}}
    client.track(user_id="a", event_type="sold", payload=payload)
    client.track_many([{"user_id": "a", "event_type": "sold", "payload": payload}])
    client.identify(user_id="a", traits=payload)
    path = tmp_path / "a.jsonl"
    path.write_text(json.dumps({"user_id": "a", "event_type": "sold", "payload": payload}))
    with path.open("a") as file:
        file.write("\n")
    assert client.import_events(path).stored == 1
    disk = b"".join(each.read_bytes() for each in queue_path.parent.glob("outbox.db*"))
    assert CARD.encode() not in disk
    assert payload == {"card": CARD, "nested": {"card": CARD}}, "it is the caller's own"
    assert [each["payload"] for each in sent(client, sandbox)] == [{"nested": {}, "seen": True}] * 4


def test_an_event_that_is_dropped_is_stored_nowhere_and_counted(
    make_client: Callable[..., SegOpsClient], sandbox: Sandbox, tmp_path: Path
) -> None:
    client = make_client(before_store=redacted)
    rows = [{"user_id": each, "event_type": "sold"} for each in ("robot", "a", "robot")]
    client.track(rows[0])
    client.identify(user_id="robot")
    assert client.track_many(rows) == 1
    assert client.track_many([rows[0]], checkpoint=("job", 7)) == 0
    assert client.checkpoint("job") == 7
    path = tmp_path / "a.jsonl"
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    result = client.import_events(path)
    assert (result.stored, result.rejected, result.dropped) == (1, 0, 2)
    assert client.import_events(path).dropped == 0
    assert client.stats().screened_out == 7
    assert [each["user_id"] for each in sent(client, sandbox)] == ["a", "a"]


def test_an_exception_refuses_that_event_and_says_what_it_was(
    make_client: Callable[..., SegOpsClient], tmp_path: Path
) -> None:
    client = make_client(before_store=redacted)
    with pytest.raises(InvalidEventError, match="before_store raised KeyError: 'card'") as caught:
        client.track(user_id="odd", event_type="sold", payload={"card": CARD})
    assert isinstance(caught.value.__cause__, KeyError)
    assert CARD not in str(caught.value)
    rows = [{"user_id": each, "event_type": "sold"} for each in ("a", "odd", "a")]
    with pytest.raises(InvalidEventError, match="before_store"):
        client.track_many(rows)
    path, rejects = tmp_path / "a.jsonl", tmp_path / "rejects.jsonl"
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    result = client.import_events(path, rejects=rejects)
    assert (result.stored, result.rejected) == (2, 1)
    assert "before_store raised KeyError" in json.loads(rejects.read_text())["reason"]
    assert client.stats().pending == 2
    assert client.stats().screened_out == 0


def test_what_is_put_in_is_checked_like_what_is_tracked(
    make_client: Callable[..., SegOpsClient], sandbox: Sandbox, tmp_path: Path
) -> None:
    found: list[Any] = []
    client = make_client(before_store=lambda _event: found[0])
    path = tmp_path / "a.jsonl"
    path.write_text('{"user_id": "a", "event_type": "sold"}\n')
    odd: tuple[Any, ...] = (
        Event("a", "sold", payload={"x": object()}),
        Event("", "sold"),
        5,
        [],
        {},
    )
    for value in odd:
        found[:] = [value]
        with pytest.raises(InvalidEventError):
            client.track(user_id="a", event_type="sold")
        result = client.import_events(path, job=repr(len(str(value))) + type(value).__name__)
        assert (result.stored, result.rejected) == (0, 1)
    found[:] = [{"user_id": 5, "event_type": "made", "occurred_at": "2026-01-31T12:00:00Z"}]
    client.track(user_id="a", event_type="sold")
    (event,) = sent(client, sandbox)
    assert (event["user_id"], event["event_type"]) == ("5", "made")
    assert event["occurred_at"] == "2026-01-31T12:00:00+00:00"


def test_drops_of_many_threads_are_all_counted(make_client: Callable[..., SegOpsClient]) -> None:
    client = make_client(before_store=lambda _event: None)

    def work() -> None:
        for _ in range(50):
            client.track(user_id="a", event_type="sold")

    threads = [threading.Thread(target=work) for _ in range(8)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert client.stats().screened_out == 400
    assert client.stats().pending == 0


async def asleep(event: Event) -> Event:
    return event


@pytest.mark.parametrize("value", ["redact", 5, asleep])
def test_what_cannot_be_called_is_refused(
    make_client: Callable[..., SegOpsClient], value: Any
) -> None:
    with pytest.raises(ConfigurationError, match="before_store must be"):
        make_client(before_store=value)


def test_a_record_that_is_mended_is_screened_too_and_dropped_for_good(
    make_client: Callable[..., SegOpsClient], tmp_path: Path
) -> None:
    seen: list[object] = []

    def drop(event: Event) -> Event | None:
        seen.append(event.user_id)
        return None

    client = make_client(before_store=drop)
    path, rejects = tmp_path / "a.jsonl", tmp_path / "rejects.jsonl"
    path.write_text('{"user_id": "", "event_type": "sold"}\n')
    assert client.import_events(path, rejects=rejects).rejected == 1
    assert seen == []
    (line,) = map(json.loads, rejects.read_text().splitlines())
    line["record"] = '{"user_id": "a", "event_type": "sold"}'
    rejects.write_text(json.dumps(line) + "\n")
    for _ in range(2):
        result = client.import_rejected(rejects)
        assert (result.stored, result.rejected) == (0, 0)
    assert seen == ["a"]
    assert client.stats().pending == 0


def test_what_an_import_has_no_type_for_may_be_put_in(
    make_client: Callable[..., SegOpsClient], sandbox: Sandbox, tmp_path: Path
) -> None:
    client = make_client(
        before_store=lambda event: Event(event.user_id, "sold", payload={"price": Decimal("9.90")})
    )
    path = tmp_path / "a.jsonl"
    path.write_text('{"user_id": "a", "event_type": "sold"}\n')
    assert client.import_events(path).stored == 1
    assert [each["payload"] for each in sent(client, sandbox)] == [{"price": 9.9}]


def test_the_priority_that_it_gives_counts_also_for_what_is_imported(
    make_client: Callable[..., SegOpsClient], sandbox: Sandbox, tmp_path: Path
) -> None:
    def by_number(event: Event) -> Event:
        if event.payload["n"] == 9:
            event.priority = "urgent"
        elif event.payload["n"] % 2:
            event.priority = "high"
        return event

    sandbox.stop()
    client = make_client(before_store=by_number, max_retries=0)
    path, rejects = tmp_path / "a.jsonl", tmp_path / "rejects.jsonl"
    lines = [{"user_id": "a", "event_type": "e", "priority": "low", "n": n} for n in (0, 1, 2, 9)]
    path.write_text("".join(f"{json.dumps(each)}\n" for each in lines))
    result = client.import_events(path, rejects=rejects)
    assert (result.stored, result.rejected) == (3, 1)
    rejects.write_text(re.sub(r'(n\\*": ?)9', r"\g<1>3", rejects.read_text()))
    assert client.import_rejected(rejects).stored == 1
    client.track(user_id="a", event_type="e", payload={"n": 4})
    sandbox.start()
    events = sent(client, sandbox)
    assert [each["payload"]["n"] for each in events] == [1, 3, 0, 2, 4]
    columns = [each["payload"].get("priority") for each in events]
    assert columns == ["low", "low", "low", "low", None], "a column is a property, as ever"
