"""Batches that failed while it is open whether they are at fault, or the way to SegOps.

A batch that meets a 500, a firewall's 403 or a reset may be the only one that does. If it
stayed at the head it would block every event behind it for ever. So the next round begins
with another batch. Once that one is accepted, the way is open, and the suspect is tried
again at its own, growing intervals, while the others go on.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from segops_durable.delivery.backoff import Pause

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from segops_durable.system.clock import Clock

MOST = 64
"""Suspects at most while nothing is accepted: an outage is not a reason to look at it all."""


@dataclass(frozen=True)
class Suspect:
    """A batch that failed.

    Attributes:
        key: Its ``Idempotency-Key``.
        identity: Whose events it has.
        pause: Until it is tried again.
    """

    key: str
    identity: str
    pause: Pause


class Suspects:
    """The batches under suspicion, by their keys, the next to be tried first.

    Args:
        shortest_pause: Seconds before the second attempt at a suspect.
        clock: The time.
    """

    def __init__(self, shortest_pause: float, clock: Clock) -> None:
        self._shortest_pause = shortest_pause
        self._clock = clock
        self._suspects: dict[str, Suspect] = {}
        self._recalled: str | None = None
        self._is_way_open = False

    def __len__(self) -> int:
        return len(self._suspects)

    def __contains__(self, key: str) -> bool:
        return key in self._suspects

    @property
    def aside(self) -> tuple[str, ...]:
        """The keys to pass over for now."""
        return tuple(key for key in self._suspects if key != self._recalled)

    @property
    def is_searching(self) -> bool:
        """Whether more than one batch failed and none was accepted: it looks like an outage.

        Then only whole batches are worth looking at; small ones had better fill.
        """
        return len(self._suspects) > 1 and not self._is_way_open

    @property
    def remaining(self) -> float:
        """Seconds until one of them may be tried again; 0 if one may, or there is none."""
        if not self._is_way_open:
            return 0.0
        suspects = tuple(self._suspects.values())  # another thread may ask
        return min((each.pause.remaining for each in suspects), default=0.0)

    def recall(
        self,
        may_be_sent_for: Callable[[str], bool],
        in_hand: Collection[str] = (),
        *,
        if_full: bool = False,
    ) -> Suspect | None:
        """Let the next suspect be tried again; return it, or None if there is none.

        Args:
            may_be_sent_for: Whether an identity is not held, or its wait is over.
            in_hand: The keys of those that are being tried. Defaults to none.
            if_full: Only if there is no place for another suspect.
        """
        if if_full and (self._is_way_open or len(self._suspects) < MOST):
            return None
        for suspect in self._suspects.values():
            is_due = not self._is_way_open or not suspect.pause.remaining
            if is_due and suspect.key not in in_hand and may_be_sent_for(suspect.identity):
                self._recalled = suspect.key
                return suspect
        return None

    def is_at_fault(self, key: str) -> bool:
        """Whether a batch that fails is at fault: it failed before, and others got through."""
        return self._is_way_open and key in self._suspects

    def failures_of(self, key: str) -> int:
        """In how many rounds a batch has failed, since somebody asked for a flush."""
        return self._suspects[key].pause.failures if key in self._suspects else 0

    def fail(self, key: str, identity: str) -> None:
        """Suspect a batch that failed; unless it is at fault, nothing is known of the way."""
        if not self.is_at_fault(key):
            self._is_way_open = False
        known = self._suspects.pop(key, None)
        pause = Pause(self._shortest_pause, self._clock) if known is None else known.pause
        pause.lengthen()
        self._suspects[key] = Suspect(key, identity, pause)
        self._recalled = None

    def clear(self, key: str) -> None:
        """Drop a batch that was answered for; the others, if any, now look guilty."""
        self.drop(key)
        self._is_way_open = bool(self._suspects)

    def drop(self, key: str) -> None:
        """Drop a batch that is not there any more."""
        self._suspects.pop(key, None)
        self._recalled = None

    def forgive(self) -> None:
        """End the pauses: somebody asks for all to be tried now."""
        for suspect in self._suspects.values():
            suspect.pause.reset()
