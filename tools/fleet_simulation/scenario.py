"""What happens to a fleet, and how its clients are set up."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import random

LEAD_SECONDS = 180.0
"""How much of the outage is run: after 5, 10, 20 and 40 seconds its pauses are the longest."""

_INTERVAL = 5.0
_MOST_DAYS = 30.0


@dataclass(frozen=True, kw_only=True)
class Scenario:
    """What happens, the same to every variant.

    Attributes:
        devices: How many share the plan.
        events: How many each has tracked in the outage.
        outage: Its seconds.
        limit: Calls a minute of the plan.
        has_power: Whether they run all through the outage, as where the network is away; else
            all are started at once, at the end of it.
        seed: Of what is decided by chance.
    """

    devices: int
    events: int
    outage: float
    limit: int
    has_power: bool = True
    seed: int = 0

    @property
    def outage_ends_at(self) -> float:
        """When SegOps answers again, by the moved clock."""
        return LEAD_SECONDS if self.has_power else 0.0

    def begins_at(self, chance: random.Random) -> float:
        """When a device begins: at any time of an interval, or with all others."""
        return chance.uniform(0.0, _INTERVAL) if self.has_power else 0.0

    @property
    def most_seconds(self) -> float:
        """By the moved clock; whoever is not done by then never is."""
        return _MOST_DAYS * 86_400.0


@dataclass(frozen=True, kw_only=True)
class Variant:
    """How the clients of a fleet are set up.

    Attributes:
        batch_size: Events in a request.
        jitter: Whether waits are drawn; else each is the shortest that it may be.
        more: Other options of a client.
    """

    batch_size: int
    jitter: bool
    more: dict[str, Any] = field(default_factory=dict)

    @property
    def options(self) -> dict[str, Any]:
        """The options of a client."""
        return {"batch_size": self.batch_size, **self.more}

    @property
    def name(self) -> str:
        """What it is called in a plot."""
        words = [f"{self.batch_size} a call", "jitter" if self.jitter else "no jitter"]
        return ", ".join([*words, *(f"{name}={value}" for name, value in self.more.items())])
