"""Lanes: whose events these are, and which of theirs go first, in one text.

An event with a priority waits under its identity with that word before it. So what is so of an
identity is so of each of its lanes: a batch holds one, a mark names it, and the checksums are of
it. An event without one, as nearly all are, is stored as ever. (The lanes of `delivery` are
threads, and something else.)
"""

from __future__ import annotations

from segops_durable.events import NORMAL, PRIORITIES

_PREFIXES = {f"{each} ": each for each in PRIORITIES if each != NORMAL}
"""No identity begins so."""


def lane_of(identity: str, priority: str) -> str:
    """The lane of an identity's events of a priority."""
    return identity if priority == NORMAL else f"{priority} {identity}"


def lanes_of(identity: str) -> tuple[str, ...]:
    """All lanes of an identity, in the order in which they are sent."""
    return tuple(lane_of(identity, each) for each in PRIORITIES)


def priority_of(lane: str) -> str:
    """Which priority the events of a lane have."""
    return next((each for start, each in _PREFIXES.items() if lane.startswith(start)), NORMAL)


def identity_in(lane: str) -> str:
    """Whose events a lane has."""
    start = next((each for each in _PREFIXES if lane.startswith(each)), "")
    return lane[len(start) :]


def rank_of(lane: str) -> int:
    """The place of a lane among those of its identity: 0 is sent first."""
    return PRIORITIES.index(priority_of(lane))
