"""Glances as server-sent events: all of one, or what differs from the one before."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from segops_durable.errors.plain_text import visible

if TYPE_CHECKING:
    from collections.abc import Sequence

    from segops_durable.page.glance import Glance, Line

_OPEN = ("at", "state", "sentence", "next_at", "live")
_LONGEST_TROUBLE = 500


def whole(glance: Glance, *, is_trusted: bool) -> bytes:
    """All of a glance."""
    return encoded("whole", _document(glance, None, is_trusted=is_trusted))


def change(glance: Glance, before: Glance, *, is_trusted: bool) -> bytes:
    """What differs from the glance before; the figures in any case."""
    return encoded("change", _document(glance, before, is_trusted=is_trusted))


def _document(now: Glance, before: Glance | None, *, is_trusted: bool) -> dict[str, Any]:
    document: dict[str, Any] = {name: getattr(now, name) for name in _OPEN}
    document["figures"] = dict(now.figures)
    last = before.points[-1][0] if before is not None and before.points else 0.0
    document["points"] = [each for each in now.points if each[0] > last]
    if is_trusted:
        document["details"] = now.details
        document["unlisted"] = now.unlisted
        document["events"] = _new_lines(now.events, None if before is None else before.events)
        document["requests"] = _new_lines(now.requests, None if before is None else before.requests)
        if before is None or before.letters != now.letters:
            document["letters"] = [asdict(each) for each in now.letters]
        if before is None or before.facts != now.facts:
            document["facts"] = dict(now.facts)
    return document


def encoded(name: str, document: object) -> bytes:
    """One server-sent event."""
    text = json.dumps(document, separators=(",", ":"))  # ASCII, and no line ends in it
    return f"event: {name}\ndata: {text}\n\n".encode()


def trouble(error: Exception) -> bytes:
    """What is told where a look fails."""
    return encoded("trouble", {"sentence": visible(str(error))[:_LONGEST_TROUBLE]})


def _new_lines(now: Sequence[Line], before: Sequence[Line] | None) -> list[Any]:
    known = {each.id: each for each in before or ()}
    return [asdict(each) for each in now if known.get(each.id) != each]
