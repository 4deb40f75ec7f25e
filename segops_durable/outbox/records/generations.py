"""Generations: which boot gave an event its id, so that ids of two pasts are told apart.

A device that is set back to a snapshot at each boot gives the same ids again, to other events;
so do clones that nothing else tells apart. Whoever has loaded what one of them exported must
not take the events of the next for known. So with each boot begins a generation, which has a
random name, and an export says of each event which one it is of. Events that were there before
the snapshot was made are of the same generation in all of them: those are the same events.
"""

from __future__ import annotations

import json
import secrets
from itertools import pairwise
from typing import NamedTuple

GENERATIONS = "generations"
"""The name of the note."""


class Generation(NamedTuple):
    """A run of ids that were given within one boot.

    Attributes:
        first_id: The first of them.
        name: A random one; empty for the first of an outbox.
    """

    first_id: int
    name: str


def generations_from(text: str | None) -> list[Generation]:
    """Read the note, the oldest first; none if there is none, or it is of no use."""
    try:
        found = [Generation(*each) for each in json.loads(text or "[]")]
    except (TypeError, ValueError):
        return []
    is_right = all(type(each.first_id) is int and isinstance(each.name, str) for each in found)
    return sorted(found) if is_right else []


def as_text(generations: list[Generation]) -> str:
    """The note."""
    return json.dumps(generations)


def with_new(generations: list[Generation], last_id: int, oldest_id: int) -> list[Generation]:
    """Begin a generation after `last_id`; drop those of which nothing waits any more."""
    begun = [each for each in generations if each.first_id <= last_id]
    begun.append(Generation(last_id + 1, secrets.token_hex(6)))
    needed = [each for each, following in pairwise(begun) if following.first_id > oldest_id]
    return [*needed, begun[-1]]


def generation_of(generations: list[Generation], row_id: int) -> str:
    """The name of the generation that an id is of; empty for an outbox's first."""
    names = [each.name for each in generations if each.first_id <= row_id]
    return names[-1] if names else ""
