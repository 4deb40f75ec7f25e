"""What became of the events: from the acknowledgements and what the server has written down."""

from __future__ import annotations

import json
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from proof.events import is_same

if TYPE_CHECKING:
    from collections.abc import Iterable

    from proof.recorder import Record


@dataclass
class Findings:
    """Counts of events, but for the keys; they add up over several outboxes.

    Attributes:
        acknowledged: `track` had returned.
        arrived: Different ones that the server took.
        refused: Kept as dead letters, as the server would not have them.
        lost: Acknowledged, and neither arrived nor refused, nor waiting.
        waiting: Still in the outbox, though all was to be sent: it is not known which.
        altered: Arrived otherwise than they were tracked, or were never tracked.
        duplicates: That arrived once more.
        conflicts: Keys that came with two bodies.
        allowed: Duplicates that there may be.
    """

    acknowledged: int = 0
    arrived: int = 0
    refused: int = 0
    lost: int = 0
    waiting: int = 0
    altered: int = 0
    duplicates: int = 0
    conflicts: int = 0
    allowed: int = 0

    def __add__(self, other: Findings) -> Findings:
        mine, others = vars(self), vars(other)
        return Findings(**{name: mine[name] + others[name] for name in mine})

    def problems(self) -> list[str]:
        """Say what must not be; nothing if all is well."""
        found = {
            "acknowledged events are lost": self.lost,
            "events could not be sent in the end": self.waiting,
            "events came altered": self.altered,
            "keys came with two bodies": self.conflicts,
            f"duplicates are more than the {self.allowed:,} that may be": (
                self.duplicates if self.duplicates > self.allowed else 0
            ),
        }
        problems = [f"{count:,} {what}" for what, count in found.items() if count]
        return problems if self.acknowledged else [*problems, "nothing was acknowledged"]

    def verdict(self, of_what: str, troubles: Iterable[str] = ()) -> tuple[str, int]:
        """One line that says how it went, and the status to end with.

        Args:
            of_what: What was done, at the beginning of the line.
            troubles: What else must not be. Defaults to nothing.
        """
        problems = [*troubles, *self.problems()]
        if problems:
            return f"VERDICT: FAILED. {of_what}: {'; '.join(problems)}", 1
        return (
            f"VERDICT: ok. {of_what}: {self.acknowledged:,} events acknowledged, 0 lost, 0 altered,"
            f" 0 keys with two bodies; {self.duplicates:,} duplicates ({self.allowed:,} allowed)"
        ), 0


def judge(
    acknowledged: Iterable[str],
    records: Iterable[Record],
    allowed: int,
    dead: Iterable[Any] = (),
    waiting: int = 0,
) -> Findings:
    """Compare what was acknowledged with what came.

    Args:
        acknowledged: Names of events whose `track` had returned.
        records: Every batch that came.
        allowed: Duplicates that there may be.
        dead: Events of which the outbox says that the server refused them. Defaults to none.
        waiting: How many the outbox still has. Defaults to none.
    """
    found = Findings(allowed=allowed, waiting=waiting)
    missing = set(acknowledged)
    found.acknowledged = len(missing)
    arrived: set[str] = set()
    bodies: dict[str, bytes] = {}
    conflicts: set[str] = set()
    for record in records:
        body = record.body.encode("latin-1")
        digest = sha256(body).digest()
        if not record.key or bodies.setdefault(record.key, digest) != digest:
            conflicts.add(record.key)
        if not record.is_accepted:
            continue
        for event in _events(body):
            name = _name(event)
            if name is None:
                found.altered += 1
            elif name in arrived:
                found.duplicates += 1
            else:
                arrived.add(name)
    kept = [_name(event) for event in dead]
    found.altered += kept.count(None)
    found.refused = len(kept)
    found.arrived, found.conflicts = len(arrived), len(conflicts)
    found.lost = max(0, len(missing - arrived - set(kept)) - waiting)
    return found


def _events(body: bytes) -> list[Any]:
    try:
        return list(json.loads(body)["events"])
    except (ValueError, TypeError, KeyError):
        return [None]  # one that is no event


def _name(event: Any) -> str | None:  # noqa: ANN401 - whatever came
    """The name of an event that is what its name says it is; None of any other."""
    try:
        name = str(event["payload"]["name"])
        return name if is_same(event, name) else None
    except (ValueError, TypeError, KeyError):
        return None
