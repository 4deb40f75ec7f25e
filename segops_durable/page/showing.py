"""Events as text, bounded: whatever is in them, a page gets no more than is shown."""

from __future__ import annotations

import json
import re
from typing import NamedTuple

from segops_durable.errors.plain_text import json_text, visible

READ_BYTES = 4096
"""So much of an event is read to be shown."""

SHOWN_LETTERS = 400
"""So much of what is in it is shown in a list."""

_FIELD = re.compile(rb'"(user_id|event_type)": ?("(?:[^"\\]|\\.)*")')
_LONGEST_NAME = 120


class Shown(NamedTuple):
    """An event to be shown.

    Attributes:
        user: Whose it is; empty where that cannot be read.
        kind: Its type, likewise.
        text: Its payload, or what there is in its place.
    """

    user: str
    kind: str
    text: str


def shown_event(data: bytes, size: int | None = None, longest: int = SHOWN_LETTERS) -> Shown:
    """An event as it is shown.

    Args:
        data: Its bytes, or the first of them.
        size: How many bytes it has. Defaults to those that are given.
        longest: Letters of the payload at most.
    """
    whole = len(data) if size is None else size
    event = _read(data) if len(data) == whole else None
    if event is None:
        found = {name: _name(text) for name, text in _FIELD.findall(data)}
        text = f"{visible(data.decode(errors='replace'))[:longest]}… ({whole:,} bytes)"
        return Shown(found.get(b"user_id", ""), found.get(b"event_type", ""), text)
    payload = event.get("payload")
    return Shown(
        cut(str(event.get("user_id") or ""), _LONGEST_NAME),
        cut(str(event.get("event_type") or ""), _LONGEST_NAME),
        cut(json_text(payload), longest) if payload else "",
    )


def cut(text: str, longest: int) -> str:
    """A text with nothing in it that leads a reader astray, and no longer than that."""
    found = visible(text[: longest + 1])
    return found if len(found) <= longest else f"{found[: longest - 1]}…"


def _read(data: bytes) -> dict[str, object] | None:
    try:
        event = json.loads(data)
    except (ValueError, RecursionError):
        return None
    return event if isinstance(event, dict) else None


def _name(text: bytes) -> str:
    try:
        return cut(str(json.loads(text)), _LONGEST_NAME)
    except ValueError:
        return ""
