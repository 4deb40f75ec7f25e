"""Events that can be made again from their names, so that any change of one is seen."""

from __future__ import annotations

from typing import Any

_ODD_TEXTS = ("plain", "ünïcödé", 'quote " and \\ slash', "line\nend", "\u2028", "😀")
_LONGEST_BLOB = 300
POISON = "refuse_me"
"""In the payload of an event that a server may find wrong for good."""
_POISON = 97
_UNTIMED = 5


def make_event(name: str) -> dict[str, Any]:
    """The event of a name ``LANE-LIFE-THREAD-NUMBER``.

    Raises:
        ValueError: It is no such name.
    """
    _lane, _life, thread, number = map(int, name.split("-"))
    event: dict[str, Any] = {
        "user_id": f"user-{number % 17}",
        "event_type": "page_viewed",
        "payload": {
            "name": name,
            "thread": thread,
            "part": number / 7,
            "text": _ODD_TEXTS[number % len(_ODD_TEXTS)],
            "blob": "x" * (number * 37 % _LONGEST_BLOB),
        },
    }
    if number % _UNTIMED:
        when = f"2026-01-31T12:{number // 60 % 60:02}:{number % 60:02}+00:00"
        event["occurred_at"] = when
    if number % _POISON == _POISON - 1:
        event["payload"][POISON] = True
    return event


def is_same(event: Any, name: str) -> bool:  # noqa: ANN401 - whatever came
    """Whether an event is that of a name; the client fills in when it occurred, where it has to."""
    tracked = make_event(name)
    if "occurred_at" not in tracked:
        tracked["occurred_at"] = event["occurred_at"]
    return bool(event == tracked)
