"""The state of a client in a sentence, with its reason."""

from __future__ import annotations

from typing import TYPE_CHECKING

from segops_durable.delivery import State
from segops_durable.errors import IdentityError, WrongAddressError

if TYPE_CHECKING:
    from segops_durable.delivery import Stats

_OF_STATES = {
    State.SENDING: "A round of sending is under way.",
    State.BACKING_OFF: "The last attempt failed: SegOps cannot be reached, or is in trouble. "
    "Everything is kept on disk.",
    State.RATE_LIMITED: "SegOps' limit of requests is reached, or the next one waits for its turn.",
    State.GATED: "The application says that nothing is to be sent now.",
    State.UNAUTHORISED: "SegOps does not accept the API key. Everything is kept on disk until "
    "there is one that works.",
    State.NOT_SEGOPS: "Something answers that is not SegOps: a captive portal, or a proxy. "
    "Everything is kept on disk.",
    State.STANDBY: "Another process sends for this outbox.",
    State.NO_SENDER: "This client only appends, and no process sends: segops-durable run is one.",
    State.CLOSED: "The client is shut down. What waits is kept on disk.",
}
_ADDRESS = "SegOps has no ingestion at this address. Everything is kept on disk."


def sentence_of(stats: Stats) -> str:
    """What goes on, and why; it names no user and no event."""
    if stats.state is State.IDLE:
        return _idle(stats)
    if stats.state is State.UNAUTHORISED and isinstance(stats.last_error, WrongAddressError):
        return _ADDRESS
    return _OF_STATES[stats.state]


def details_of(stats: Stats) -> str:
    """What is known of what went wrong; empty where nothing does now."""
    is_well = stats.state in {State.IDLE, State.SENDING, State.STANDBY} and not stats.held
    return "" if is_well or stats.last_error is None else str(stats.last_error)


def _idle(stats: Stats) -> str:
    held = sum(stats.held.values())
    if held:
        why = "a session" if isinstance(stats.last_error, IdentityError) else "their key"
        return f"{held:,} events wait for {why}; all others are sent."
    if stats.pending:
        return "What waits goes out with a full batch, or at the next interval."
    return "Nothing waits: all that was tracked has left."
