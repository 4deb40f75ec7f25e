"""A request that is made again is answered again, and stored once."""

from __future__ import annotations

import re
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import segops_durable.outbox
from segops_durable.outbox.records.seals import seal_of
from support.relays import RelayProcess, RunningRelay, event

if TYPE_CHECKING:
    from collections.abc import Callable

    from segops_durable import SegOpsClient
    from segops_durable.sandbox import Sandbox

    MakeClient = Callable[..., SegOpsClient]
    Wait = Callable[[Callable[[], object]], None]

pytestmark = pytest.mark.one_python

KEY = {"Idempotency-Key": "request-1"}


def test_a_repeated_request_is_answered_again_and_stored_once_also_after_a_kill(
    relay_process: RelayProcess, sandbox: Sandbox
) -> None:
    relay = relay_process
    sandbox.stop()
    first = relay.track(event(1), event(2), headers=KEY)
    again = relay.track(event(1), event(2), headers=KEY)
    relay.kill()
    relay.start()
    later = relay.track(event(1), event(2), headers=KEY)
    for each in (first, again, later):
        assert (each.status_code, each.json()) == (202, {"queued": 2, "skipped": 0})
    assert relay.waiting() == 2


def test_a_request_under_another_key_or_without_one_is_stored_each_time(
    relay: RunningRelay, sandbox: Sandbox
) -> None:
    sandbox.stop()
    for headers in (KEY, {"Idempotency-Key": "request-2"}, {}, {}):
        assert relay.track(event(1), headers=headers).status_code == 202
    assert relay.waiting() == 4


def test_a_key_that_comes_with_another_body_is_refused_and_not_stored(
    relay: RunningRelay, sandbox: Sandbox
) -> None:
    sandbox.stop()
    assert relay.track(event(1), headers=KEY).status_code == 202
    other = relay.track(event(2), headers=KEY)
    assert other.status_code == 422
    assert other.json() == {"detail": "The Idempotency-Key was used for another body."}
    assert relay.waiting() == 1


def test_of_many_that_come_at_once_under_one_key_one_is_stored_and_all_are_answered(
    relay: RunningRelay, sandbox: Sandbox
) -> None:
    sandbox.stop()
    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda _: relay.track(event(1), headers=KEY), range(64)))
    assert {each.status_code for each in answers} == {202}
    assert {each.text for each in answers} == {'{"queued":1,"skipped":0}'}
    assert relay.waiting() == 1


def test_what_was_refused_may_come_again_under_its_key(
    make_relay: Callable[..., RunningRelay], sandbox: Sandbox
) -> None:
    sandbox.stop()
    relay = make_relay(options={"max_queue_events": 1})
    assert relay.track(event(1), event(2), headers=KEY).status_code == 503
    assert relay.track(event(1), headers=KEY).status_code == 202
    assert relay.track({"user_id": 5}, headers={"Idempotency-Key": "k"}).status_code == 400
    relay.stop()
    relay.options = {}
    relay.start()
    assert relay.track(event(3), headers={"Idempotency-Key": "k"}).status_code == 202
    assert relay.waiting() == 2


def test_a_receipt_that_is_too_old_or_damaged_is_not_believed(
    make_relay: Callable[..., RunningRelay], sandbox: Sandbox
) -> None:
    sandbox.stop()
    relay = make_relay("--replay-window", "3600")
    for key in ("old", "damaged", "good"):
        assert relay.track(event(1), headers={"Idempotency-Key": key}).status_code == 202
    relay.stop()
    with closing(sqlite3.connect(relay.queue_path, isolation_level=None)) as connection:
        keys = [row[0] for row in connection.execute("SELECT key FROM receipts ORDER BY _id")]
        sql = "UPDATE receipts SET answer = 'elsewhere' WHERE key = ?"
        connection.execute(sql, (keys[1],))
        connection.execute("UPDATE receipts SET at = at - 3601 WHERE key = ?", (keys[0],))
    relay.start()
    for key in ("old", "damaged", "good"):
        found = relay.track(event(1), headers={"Idempotency-Key": key})
        assert (found.status_code, found.json()["queued"]) == (202, 1)
    assert relay.waiting() == 5


def test_a_receipt_of_before_the_clock_was_set_is_believed(
    relay: RunningRelay, sandbox: Sandbox
) -> None:
    sandbox.stop()
    assert relay.track(event(1), headers=KEY).status_code == 202
    relay.stop()
    with closing(sqlite3.connect(relay.queue_path, isolation_level=None)) as connection:
        key, body, answer = connection.execute("SELECT key, body, answer FROM receipts").fetchone()
        values = (key, body, answer, 60.0)  # a minute after the boot, in 1970
        sql = "UPDATE receipts SET at = ?, seal = ?"
        connection.execute(sql, (60.0, seal_of("receipts", values)))
    relay.start()
    assert relay.track(event(1), headers=KEY).status_code == 202
    assert relay.waiting() == 1


def test_the_table_has_the_columns_that_the_page_of_the_format_names(
    relay: RunningRelay, sandbox: Sandbox
) -> None:
    sandbox.stop()
    relay.track(event(1), headers=KEY)
    page = Path(segops_durable.outbox.__file__).with_name("FORMAT.md").read_text(encoding="utf-8")
    section = page.split("### The receipts of a relay")[1].split("\n#")[0]
    named = re.findall(r"^\| `(\w+)` \| ([A-Z]+) \|", section, re.MULTILINE)
    with closing(sqlite3.connect(relay.queue_path)) as connection:
        found = connection.execute("PRAGMA table_info(receipts)").fetchall()
    assert [(name, kind) for _, name, kind, *_ in found] == named


def test_our_own_client_behind_a_relay_has_each_event_delivered_once(
    relay: RunningRelay, sandbox: Sandbox, make_client: MakeClient, wait_until: Wait
) -> None:
    client = make_client(api_url=relay.url)
    client.track_many(map(event, range(100)))
    assert client.flush(timeout=60).ok
    wait_until(lambda: len(sandbox.events()) == 100)
    assert [row["event"]["payload"]["n"] for row in sandbox.events()] == [*range(100)]
