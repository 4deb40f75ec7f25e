"""Events as a test looks at them: some of them, compared, and what is said where they differ."""

from __future__ import annotations

import json
import threading
from typing import Any

import pytest

from segops_durable import ConfigurationError, Event
from segops_durable.testing import Events

FIRST = {"user_id": "u-1", "event_type": "page_viewed", "occurred_at": "t1", "payload": {"n": 1}}
SECOND = {"user_id": "u-2", "event_type": "page_viewed", "occurred_at": "t2", "payload": {"n": 2}}
THIRD = {"user_id": "u-1", "event_type": "order_placed", "occurred_at": "t3"}


@pytest.fixture
def came() -> list[dict[str, Any]]:
    return [FIRST, SECOND, THIRD]


@pytest.fixture
def events(came: list[dict[str, Any]]) -> Events:
    return Events(lambda: came, known=lambda: "answers: 202 (3)")


def test_they_are_a_sequence_that_grows(events: Events, came: list[dict[str, Any]]) -> None:
    assert (len(events), events[0], events[1:], list(events)) == (3, FIRST, [SECOND, THIRD], came)
    came.append(FIRST)
    assert len(events) == 4
    assert events[-1] is FIRST
    assert repr(events) == "<4 events that were accepted>"
    with pytest.raises(TypeError, match="unhashable"):
        hash(events)


def test_some_of_them_are_those_of_a_type_and_of_a_user(events: Events) -> None:
    assert list(events.by_type("page_viewed")) == [FIRST, SECOND]
    assert list(events.by_user("u-1")) == [FIRST, THIRD]
    assert list(events.by_user("u-1").by_type("page_viewed")) == [FIRST]
    assert not events.by_user("u-3")
    assert events.payloads == [{"n": 1}, {"n": 2}, {}]


def test_they_equal_events_of_which_each_named_field_is_theirs(events: Events) -> None:
    assert events == [FIRST, SECOND, THIRD]
    assert events == [
        {"payload": {"n": 1}},
        Event("u-2", "page_viewed", payload={"n": 2}),
        Event("u-1", "order_placed"),
    ]
    assert events != [FIRST, SECOND]
    assert events != [FIRST, SECOND, {"payload": None}]  # it is named, and is not there
    assert events != [FIRST, SECOND, {"user_id": "u-9"}]
    assert events != [FIRST, SECOND, "order_placed"]
    assert events != "three"
    assert events != 3


def test_an_expected_event_is_compared_as_it_would_be_sent() -> None:
    sent = {"user_id": "5", "event_type": "seen", "occurred_at": "2026-01-31T11:00:00+00:00"}
    expected = Event(5, "seen", occurred_at="2026-01-31T12:00:00+01:00")
    assert Events(lambda: [sent]).differences([expected]) == []


def test_what_differs_is_said_line_by_line_and_the_rest_left_out(events: Events) -> None:
    assert events.differences([FIRST, SECOND, THIRD]) == []
    lines = events.differences([{"payload": {"n": 1}}, {"payload": {"n": 3}}, {}])
    assert lines[0] == ("3 events that were accepted, 3 were expected (-: expected, +: came)")
    assert [line for line in lines[1:] if line[0] != "?"] == [
        '  {"payload": {"n": 1}}',
        '- {"payload": {"n": 3}}',
        '+ {"payload": {"n": 2}}',
        "  {}",
    ]
    assert "page_viewed" not in "".join(lines)
    assert events.differences(7) == [
        "3 events that were accepted, and 7, which is no sequence of events"
    ]


def test_one_that_is_missing_at_the_head_is_said_to_be_just_that(events: Events) -> None:
    zero = {"user_id": "u-0", "event_type": "page_viewed"}
    named = [{"user_id": e["user_id"], "event_type": e["event_type"]} for e in events]
    lines = events.differences([zero, *named])[1:]
    assert [line[0] for line in lines] == ["-", " ", " ", " "]


def test_what_is_waited_for_is_returned_once_it_is_there(
    events: Events, came: list[dict[str, Any]]
) -> None:
    assert events.wait_for(2) == came
    later = threading.Timer(0.05, came.append, [FIRST])
    later.start()
    assert events.wait_for(4, timeout=60) == [FIRST, SECOND, THIRD, FIRST]
    later.join()


def test_too_few_say_which_came_and_what_is_known_besides(events: Events) -> None:
    with pytest.raises(AssertionError) as caught:
        events.by_user("u-2").wait_for(2, timeout=0)
    assert str(caught.value).splitlines() == [
        "1 events that were accepted, with the user_id 'u-2' in 0 s, 2 were waited for",
        f"  {json.dumps(SECOND, sort_keys=True)}",
        "of all events that were accepted: page_viewed (2), order_placed (1)",
        "answers: 202 (3)",
    ]


@pytest.mark.parametrize("wrong", [{"count": "2"}, {"count": 2, "timeout": "soon"}])
def test_what_is_no_number_is_refused(events: Events, wrong: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError, match=r"(count|timeout) must be a number, got '"):
        events.wait_for(**wrong)


def test_what_is_said_is_bounded_and_leads_no_terminal() -> None:
    many = Events(lambda: [{**FIRST, "payload": {"text": "\x9b" + "x" * 1000}}] * 100)
    with pytest.raises(AssertionError) as caught:
        many.wait_for(101, timeout=0)
    text = str(caught.value)
    assert len(text) < 6000
    assert "and 80 more" in text
    assert "\x9b" not in text
