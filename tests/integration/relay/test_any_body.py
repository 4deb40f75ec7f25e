"""Whatever is posted: what is answered with 202 is stored as it was sent, and SegOps takes it."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest
import requests
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

if TYPE_CHECKING:
    from segops_durable.sandbox import Sandbox
    from support.relays import RunningRelay

pytestmark = pytest.mark.one_python

BATCH = "/api/ingestion/track/batch/"
SOME = settings(
    max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=9)
leaves = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | texts
values = st.recursive(
    leaves.filter(lambda value: value not in {float("inf"), float("-inf")}),
    lambda within: st.lists(within, max_size=3) | st.dictionaries(texts, within, max_size=3),
    max_leaves=9,
)
names = st.text("abcdefgh@._-éß", min_size=1, max_size=9)
times = st.datetimes().map(lambda moment: f"{moment.isoformat()}Z")
known = st.fixed_dictionaries(
    {"user_id": names, "event_type": names},
    optional={
        "payload": st.none() | st.dictionaries(texts, values, max_size=4),
        "occurred_at": times | st.none(),
        "anonymous_id": names | st.none(),
    },
)
alike = st.fixed_dictionaries(
    {
        "user_id": names,
        "event_type": names,
        "occurred_at": times | st.none(),
        "payload": st.dictionaries(texts, values, max_size=2),
    }
)
fields = texts.filter(
    lambda name: name not in {"user_id", "event_type", "payload", "occurred_at", "anonymous_id"}
)
events = st.builds(
    lambda more, event: {**more, **event}, st.dictionaries(fields, values, max_size=2), known
)
any_events = st.builds(
    lambda event, more: {**event, **more},
    events,
    st.dictionaries(
        st.sampled_from(["user_id", "event_type", "payload", "occurred_at", "anonymous_id"]),
        values,
        max_size=2,
    ),
)
bits = st.sampled_from(
    [
        *(b"", b'"', b"{", b"}", b",", b":", b"-", b"//", b"\\u", b"\\ud800", b"\xed\xa0\x80"),
        *(b"\xff", b"\0", b"\xef\xbb\xbf", b"NaN", b"1e999", b"9" * 30, b"null", b"[" * 300),
        b'"user_id": "u",',
    ]
)


class Both:
    """A relay, and the sandbox, which are posted the same."""

    def __init__(self, relay: RunningRelay, sandbox: Sandbox) -> None:
        self._relay = relay
        self._sandbox = sandbox
        self._session = requests.Session()
        self._last = 0

    def post(self, body: bytes) -> tuple[requests.Response, requests.Response, list[Any]]:
        """Post a body to each; give the answers, and what the relay has stored of it."""
        relay, sandbox = (self._answer(url, body) for url in (self._relay.url, self._sandbox.url))
        with closing(sqlite3.connect(self._relay.queue_path)) as connection:
            sql = "SELECT _id, data FROM queue_outbox WHERE _id > ? ORDER BY _id"
            rows = connection.execute(sql, (self._last,)).fetchall()
        if rows:
            self._last = rows[-1][0]
        return relay, sandbox, [json.loads(bytes(data)) for _, data in rows]

    def _answer(self, url: str, body: bytes) -> requests.Response:
        headers = {"Authorization": "ApiKey sk_test"}
        return self._session.post(url + BATCH, data=body, headers=headers, timeout=60)


@pytest.fixture
def both(make_relay: Any, sandbox: Sandbox) -> Both:
    relay = make_relay(options={"may_send": lambda: False})
    return Both(relay, sandbox)


def untimed(found: list[Any]) -> list[Any]:
    """Events without when they occurred, which is filled in, and written in one way."""
    return [
        {name: value for name, value in each.items() if name != "occurred_at"}
        | {"payload": each.get("payload") or {}}
        for each in found
    ]


def test_what_segops_takes_is_taken_and_stored_as_it_was_sent(both: Both) -> None:
    @SOME
    @given(
        st.lists(events, min_size=1, max_size=4) | st.lists(alike, min_size=4, max_size=9),
        st.booleans(),
    )
    def check(sent: list[dict[str, Any]], is_ascii: bool) -> None:
        body = json.dumps({"events": sent}, ensure_ascii=is_ascii).encode()
        relay, sandbox, stored = both.post(body)
        assert sandbox.json() == relay.json() == {"queued": len(sent), "skipped": 0}
        assert untimed(stored) == untimed(sent)

    check()


def test_of_any_other_body_nothing_is_stored_that_segops_would_refuse(both: Both) -> None:
    @SOME
    @given(
        st.lists(any_events, max_size=3) | st.lists(alike, min_size=4, max_size=9),
        st.lists(st.tuples(st.floats(0, 1), bits), max_size=2),
    )
    def check(sent: list[dict[str, Any]], marks: list[tuple[float, bytes]]) -> None:
        body = json.dumps({"events": sent}).encode()
        for share, mark in marks:
            place = round(share * len(body))
            body = body[:place] + mark + body[place + 1 :]
        relay, sandbox, stored = both.post(body)
        assert relay.status_code in {202, 400}, relay.text
        if relay.status_code == 400:
            assert stored == []
            return
        assert relay.json() == {"queued": len(stored), "skipped": 0}
        assert sandbox.status_code == 202
        assert untimed(stored) == untimed(json.loads(body)["events"])

    check()
