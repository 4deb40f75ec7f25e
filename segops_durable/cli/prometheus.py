"""The outbox's numbers in Prometheus' text format, for a textfile collector."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from segops_durable.delivery import State
from segops_durable.errors.plain_text import visible

_PREFIX = "segops_outbox"
_METRICS = (
    ("waiting_events", "gauge", "Events that wait on disk.", "waiting"),
    ("oldest_event_age_seconds", "gauge", "Age of the oldest of them.", "oldest_age_seconds"),
    ("dead_letters", "gauge", "Events that are not sent any more.", "dead"),
    ("size_bytes", "gauge", "Size of the outbox files.", "queue_bytes"),
    ("accepted_events_total", "counter", "Events that SegOps has accepted.", "accepted_total"),
    ("dropped_events_total", "counter", "Events that gave way to new ones.", "dropped_total"),
    ("lost_events_total", "counter", "Events lost to a damaged disk.", "lost_total"),
    ("expired_events_total", "counter", "Events that waited too long.", "expired_total"),
    (
        "learned_requests_per_minute",
        "gauge",
        "Learned after a 429; 0 for none.",
        "requests_per_minute",
    ),
)


def exposition(found: dict[str, Any]) -> str:
    """Write what is known of an outbox; an age where nothing waits is 0."""
    label = '{outbox="' + _escaped(found["outbox"]) + '"}'
    lines = []
    for name, kind, text, key in _METRICS:
        lines += _head(name, kind, text)
        lines.append(f"{_PREFIX}_{name}{label} {found[key] or 0}")
    accepted_at = found["last_accepted_at"]
    name = "last_accepted_timestamp_seconds"
    lines += _head(name, "gauge", "When SegOps last accepted events; 0 for never.")
    seconds = datetime.fromisoformat(accepted_at).timestamp() if accepted_at else 0
    lines.append(f"{_PREFIX}_{name}{label} {seconds:.0f}")
    lines += _head("sender_state", "gauge", "1 for the state of the client that sends.")
    current = State.CLOSED.value if found["sender"] is None else found["sender"].get("state")
    for state in State:
        states = label[:-1] + f',state="{state.value}"' + "}"
        lines.append(f"{_PREFIX}_sender_state{states} {int(state.value == current)}")
    return "\n".join(lines) + "\n"


def _head(name: str, kind: str, text: str) -> list[str]:
    return [f"# HELP {_PREFIX}_{name} {text}", f"# TYPE {_PREFIX}_{name} {kind}"]


def _escaped(text: str) -> str:
    return visible(text).replace("\\", "\\\\").replace('"', '\\"')
