"""Whose batch goes next: lanes take turns, those with the oldest events first.

A lane has the events of an identity that have one priority; those of a higher go first (`lines`).

One that cannot be sent for (nobody signs, SegOps refuses the session) is held: it misses its
turns for a while, longer each time, and the others go on.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from segops_durable.delivery.backoff import LONGEST_BLOCKED_PAUSE, Pause
from segops_durable.delivery.lines import Lines
from segops_durable.identity import identity_in, rank_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from segops_durable.delivery.outcome import Reason
    from segops_durable.system.clock import Clock


@dataclass
class _Hold:
    """Why an identity is held, and until when."""

    pause: Pause
    reason: Reason


class Turns:
    """The order of identities, across rounds. For one thread, but for `held` and `remaining`.

    Args:
        identities: Says whose events wait, those with the oldest first.
        shortest_pause: The ceiling of the first wait of one that is held, in seconds.
        clock: The time.
    """

    def __init__(
        self, identities: Callable[[], Sequence[str]], shortest_pause: float, clock: Clock
    ) -> None:
        self._identities = identities
        self._shortest_pause = shortest_pause
        self._clock = clock
        self._waiting = Lines()  # who has not had a turn in this cycle
        self._is_promising = True  # something was sent in this cycle, or nobody looked yet
        self._holds: dict[str, _Hold] = {}

    @property
    def held(self) -> tuple[str, ...]:
        """Who could not be sent for when it was last tried."""
        return tuple(self._holds)

    @property
    def reasons(self) -> set[Reason]:
        """Why those are held who are: the meaning, and the HTTP status if there was one."""
        return {hold.reason for hold in self._holds.values()}

    @property
    def remaining(self) -> float:
        """Seconds until somebody who is held may be tried again; 0 if now, or nobody is."""
        holds = tuple(self._holds.values())  # another thread may ask
        return min((hold.pause.remaining for hold in holds), default=0.0)

    def begin(self) -> None:
        """Look at everybody once more."""
        self._is_promising = True

    def next(self) -> str | None:
        """Whose turn it is; None once a whole cycle has found nothing to send."""
        while True:
            while self._waiting:
                identity = self._waiting.popleft()
                if self.is_due(identity):
                    return identity
            if not self._is_promising:
                return None
            self._is_promising = False
            self._waiting.extend(self._identities())
            for gone in set(self._holds).difference(map(identity_in, self._waiting)):
                del self._holds[gone]  # nothing of theirs waits any more

    def foreseen(self, identity: str) -> str:
        """Whose turn comes next, once SegOps has answered for an identity."""
        following = next(filter(self.is_due, self._waiting), identity)
        return identity if rank_of(identity) < rank_of(following) else following

    def served(self, identity: str) -> None:
        """Note that SegOps has answered for an identity: it is held no longer."""
        self._is_promising = True
        self._holds.pop(identity_in(identity), None)
        self.go_on(identity)

    def go_on(self, identity: str) -> None:
        """Let one have another turn, after the others, without asking whose events wait."""
        if identity not in self._waiting:
            self._waiting.append(identity)

    def reason_of(self, identity: str) -> Reason | None:
        """Why it could not be sent for when it was last tried; None if it could."""
        hold = self._holds.get(identity_in(identity))
        return None if hold is None else hold.reason

    def is_due(self, identity: str) -> bool:
        """Whether an identity may be sent for now: it is not held, or its wait is over."""
        hold = self._holds.get(identity_in(identity))
        return hold is None or not hold.pause.remaining

    def hold(self, identity: str, reason: Reason) -> None:
        """Let an identity miss its turns for a while, longer each time."""
        identity = identity_in(identity)
        hold = self._holds.get(identity)
        pause = Pause(self._shortest_pause, self._clock) if hold is None else hold.pause
        pause.lengthen(LONGEST_BLOCKED_PAUSE)
        self._holds[identity] = _Hold(pause, reason)

    def hasten(self) -> None:
        """End the wait of all who are held: somebody asks for them to be tried now."""
        for hold in self._holds.values():
            hold.pause.reset()

    def retry_unsigned(self, identity: str) -> None:
        """End the wait of one who uses the device again, if nobody signed for them before."""
        hold = self._holds.get(identity)
        if hold is not None and hold.reason[1] is None:
            hold.pause.reset()
