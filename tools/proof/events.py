"""Events that can be made again from their names, so that any change of one is seen."""

from __future__ import annotations

from typing import Any

_ODD_TEXTS = ("plain", "ünïcödé", 'quote " and \\ slash', "line\nend", "\u2028", "😀")
_LONGEST_BLOB = 300


def make_event(name: str) -> dict[str, Any]:
    """The event of a name ``LANE-LIFE-THREAD-NUMBER``.

    Raises:
        ValueError: It is no such name.
    """
    _lane, _life, thread, number = map(int, name.split("-"))
    return {
        "user_id": f"user-{number % 17}",
        "event_type": "page_viewed",
        "occurred_at": f"2026-01-31T12:{number // 60 % 60:02}:{number % 60:02}+00:00",
        "payload": {
            "name": name,
            "thread": thread,
            "part": number / 7,
            "text": _ODD_TEXTS[number % len(_ODD_TEXTS)],
            "blob": "x" * (number * 37 % _LONGEST_BLOB),
        },
    }
