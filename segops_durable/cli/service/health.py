"""Whether a service is well: it takes events, and its sender lives."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from segops_durable.client import hangs_for, options_of
from segops_durable.delivery import State
from segops_durable.errors import ClosedError, SegOpsError

if TYPE_CHECKING:
    from segops_durable.client import SegOpsClient
    from segops_durable.delivery import Stats

_GOING = {State.IDLE, State.SENDING}


@dataclass(frozen=True)
class Health:
    """How a service is.

    Attributes:
        problem: What is the matter, in a sentence; None if all is well.
        stats: How its client stands; None where that cannot be known.
        is_alive: Whether what sends gets on.
    """

    problem: str | None
    stats: Stats | None
    is_alive: bool

    @property
    def condition(self) -> str:
        """What it does, in a word, where it is no matter of a moment."""
        if self.problem is not None:
            return "failed"
        if self.stats is None or self.stats.state in _GOING:
            return "sending"
        return self.stats.state.value

    @property
    def status(self) -> str:
        """All of it in a line."""
        waiting = "" if self.stats is None else f"{self.stats.pending:,} wait"
        why = self.problem or (self.condition if self.condition != "sending" else "")
        return "; ".join(each for each in (waiting, why) if each)

    @property
    def document(self) -> dict[str, Any]:
        """All of it for programs."""
        stats = self.stats
        return {
            "status": "ok" if self.problem is None else "failed",
            "reason": self.problem,
            "waiting": None if stats is None else stats.pending,
            "state": None if stats is None else stats.state.value,
        }


def health_of(client: SegOpsClient, trouble: str | None = None) -> Health:
    """Say how a service is, by its client; it may wait for a disk.

    Args:
        client: The client.
        trouble: What it was that kept the last events from being stored. Defaults to nothing.
    """
    try:
        silent, stats = hangs_for(client), client.stats()
    except ClosedError:
        return Health("It is shutting down.", None, is_alive=False)
    except SegOpsError as error:
        return Health(str(error), None, is_alive=bool(_lives(client)))
    if silent is None:
        return Health("No thread sends.", stats, is_alive=False)
    if silent:
        problem = f"The sender hangs: nothing was heard of it for {silent:.1f} s too long."
        return Health(problem, stats, is_alive=False)
    return Health(trouble or _fullness(client, stats), stats, is_alive=True)


def _lives(client: SegOpsClient) -> bool:
    try:
        return hangs_for(client) == 0
    except SegOpsError:
        return False


def _fullness(client: SegOpsClient, stats: Stats) -> str | None:
    options = options_of(client)
    most = options.max_queue_events
    if most is None or options.overflow == "drop_oldest" or stats.pending < most:
        return None
    return f"The outbox is full: {stats.pending:,} events wait, {most:,} may."
