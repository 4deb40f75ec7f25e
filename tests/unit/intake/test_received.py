from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from segops_durable import InvalidEventError
from segops_durable.events import fast_json, retimed
from segops_durable.intake import received
from segops_durable.intake.received import encode_one, read_document

pytestmark = pytest.mark.one_python

VALUES = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(),
        st.floats(allow_nan=False, allow_infinity=False),
        st.text(),
    ),
    lambda inner: st.one_of(st.lists(inner), st.dictionaries(st.text(), inner)),
    max_leaves=10,
)
EVENT = {"user_id": "u", "event_type": "x"}
OURS = ("user_id", "event_type", "occurred_at", "payload", "anonymous_id")


@pytest.fixture(params=["orjson", "json"])
def _either_way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param == "json":
        monkeypatch.setattr(received, "write_json", None)
    elif fast_json.write_json is None:
        pytest.skip("orjson is not installed")


def encoded(event: dict[str, Any], *, spaced: bool = False) -> dict[str, Any]:
    text = json.dumps(event, ensure_ascii=spaced, indent=1 if spaced else None)
    document, write = read_document(text.encode())
    found: dict[str, Any] = json.loads(encode_one(document, write, 1_800_000_000.0, None, 1 << 20))
    return found


@given(payload=st.dictionaries(st.text(), VALUES), more=st.dictionaries(st.text(), VALUES))
def test_all_that_an_event_has_is_kept(payload: dict[str, Any], more: dict[str, Any]) -> None:
    others = {name: value for name, value in more.items() if name not in OURS}
    event = {"user_id": "u", "event_type": "x", "payload": payload, **others}
    for spaced in (False, True):
        found = encoded(event, spaced=spaced)
        assert found.pop("occurred_at") == "2027-01-15T08:00:00+00:00"
        assert found == event


@pytest.mark.usefixtures("_either_way")
def test_a_number_of_many_digits_stays_a_number_and_an_integer_whole() -> None:
    event = {"user_id": "u", "event_type": "x", "payload": {"n": 12345678901234567890123456789}}
    assert encoded(event)["payload"] == event["payload"]
    text = b'{"user_id":"u","event_type":"x","payload":{"n":0.12345678901234567890}}'
    document, write = read_document(text)
    found = json.loads(encode_one(document, write, 0.0, None, 1000))
    assert found["payload"] == {"n": 0.12345678901234568}


@pytest.mark.usefixtures("_either_way")
@pytest.mark.parametrize(
    "text",
    [
        '{"user_id":"u","event_type":"x","payload":{"a":1e999}}',
        '{"user_id":"u","event_type":"x","payload":{"a":"\\ud800"}}',
        '{"user_id":"u","event_type":"x","more":{"\\ud800":1}}',
        '{"user_id":"u","event_type":"x","user_id":"v"}',
        '{"user_id":"u","event_type":"x","more":{"a":1,"a":2}}',
        '{"user_id":"u","event_type":"x","payload":{"a":NaN}}',
        '{"user_id":"u","event_type":"x"} trailing',
        '["user_id"]',
    ],
)
def test_what_json_has_no_form_of_or_two_is_refused(text: str) -> None:
    with pytest.raises((InvalidEventError, ValueError)):
        encode_one(*read_document(text.encode()), 0.0, None, 1000)


def test_only_the_time_of_the_event_itself_is_corrected_when_the_clock_was_set() -> None:
    event = {"payload": {"occurred_at": "mine"}, "a": {"occurred_at": "too"}, **EVENT}
    document, write = read_document(json.dumps(event).encode())
    data = encode_one(document, write, 0.0, None, 1000)
    found = json.loads(retimed(data, 1_800_000_000.0))
    assert found == {**event, "occurred_at": "2027-01-15T08:00:00+00:00"}


def test_a_visitor_of_the_session_goes_with_events_that_name_none() -> None:
    for named, wanted in ((None, "session"), ("own", "own")):
        document, write = read_document(json.dumps({**EVENT, "anonymous_id": named}).encode())
        found = json.loads(encode_one(document, write, 0.0, "session", 1000))
        assert found["anonymous_id"] == wanted
