from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from segops_durable.page import Glance, Letter, Line
from segops_durable.page.frames import change, trouble, whole

pytestmark = pytest.mark.one_python

SECRET = "somebody@example.org"


def line(number: int, fate: str = "waiting") -> Line:
    return Line(id=number, at=1.0, user=SECRET, kind="paid", text=SECRET, fate=fate)


LETTER = Letter(
    id=1,
    at=1.0,
    died_at=2.0,
    user=SECRET,
    kind="paid",
    text=SECRET,
    cause="refused",
    status=400,
    words=SECRET,
    answer=SECRET,
)
GLANCE = Glance(
    at=10.0,
    state="idle",
    sentence="Nothing waits.",
    next_at=None,
    figures={"waiting": 2},
    points=((0.0, 1.0), (5.0, 2.0)),
    live=(10.0, 2.0),
    details=SECRET,
    events=(line(2), line(1)),
    requests=(line(7),),
    letters=(LETTER,),
    facts={"outbox": SECRET},
)


def read(frame: bytes) -> tuple[str, dict[str, Any]]:
    name, data, *rest = frame.decode().split("\n")
    assert rest == ["", ""]
    document: dict[str, Any] = json.loads(data.removeprefix("data: "))
    return name.removeprefix("event: "), document


def test_whoever_has_no_token_is_told_of_no_user_and_no_event() -> None:
    for frame in (whole(GLANCE, is_trusted=False), change(GLANCE, GLANCE, is_trusted=False)):
        assert SECRET.encode() not in frame
        assert read(frame)[1]["figures"] == {"waiting": 2}
    assert SECRET.encode() in whole(GLANCE, is_trusted=True)


def test_a_change_has_only_lines_that_are_new_or_that_fared_otherwise() -> None:
    later = replace(GLANCE, at=11.0, events=(line(3), line(2), line(1, "sent")))
    name, document = read(change(later, GLANCE, is_trusted=True))
    assert name == "change"
    assert [(each["id"], each["fate"]) for each in document["events"]] == [
        (3, "waiting"),
        (1, "sent"),
    ]
    assert document["requests"] == []
    assert "letters" not in document
    assert "facts" not in document


def test_a_change_has_only_points_that_were_not_told_before_and_the_live_one() -> None:
    later = replace(GLANCE, points=((5.0, 2.0), (20.0, 3.0)), live=(21.0, 4.0))
    _, document = read(change(later, GLANCE, is_trusted=True))
    assert document["points"] == [[20.0, 3.0]]
    assert document["live"] == [21.0, 4.0]


def test_letters_are_told_anew_where_one_has_left() -> None:
    _, document = read(change(replace(GLANCE, letters=()), GLANCE, is_trusted=True))
    assert document["letters"] == []


def test_no_text_ends_an_event_of_the_stream() -> None:
    frame = whole(replace(GLANCE, sentence="a\n\nevent: b\ndata: c\r\u2028"), is_trusted=True)
    assert frame.count(b"\n") == 3
    assert b"\r" not in frame
    assert read(trouble(OSError("a\n\nb")))[1]["sentence"] == "a\\n\\nb"
