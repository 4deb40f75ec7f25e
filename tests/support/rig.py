"""An outbox and its delivery, put together for tests of what happens over hours."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from segops_durable.events import encode_event
from support.events import numbered

if TYPE_CHECKING:
    from segops_durable import Event, SegOpsError
    from segops_durable.client.delivery import Delivery
    from segops_durable.intake.intake import Intake
    from segops_durable.outbox import Outbox
    from support.clock import MovableClock


@dataclass
class Rig:
    """An outbox and its delivery, by a clock that moves when somebody waits on it."""

    outbox: Outbox
    delivery: Delivery
    clock: MovableClock
    told: list[SegOpsError]
    intake: Intake

    @property
    def state(self) -> str:
        return self.delivery.sender.state.value

    def append(self, count: int, first: int = 0, priority: str = "normal") -> None:
        """Store numbered events in one go."""
        encoded = [encode_event(event) for event in numbered(count, first)]
        priorities = None if priority == "normal" else [priority] * count
        self.outbox.commit.append(encoded, priorities=priorities)

    def track(self, *events: Event) -> None:
        """Store events as a client does: for whoever uses the device now."""
        self.intake.store(events, self.delivery)

    def round(self, *, is_asked_for: bool = False) -> None:
        """Run one round, here and now."""
        self.delivery.sender.run_round(is_asked_for=is_asked_for)

    def next_round(self) -> None:
        """Let the pause pass, and run a round."""
        self.clock.move(self.delivery.sender.pause_seconds or 5.0)
        self.round()

    def close(self) -> None:
        self.delivery.flusher.stop(10)
        self.delivery.sender.close()  # rounds were run here, and not by the flusher
        self.outbox.sender_lock.release()
        self.outbox.close()
        self.delivery.close()
