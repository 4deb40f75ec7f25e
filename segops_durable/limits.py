"""What the client does not exceed: a number of requests a minute, a size of their bodies."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import threading

    from segops_durable.clock import Clock

LIMIT_SECONDS = 600.0
"""How long a learned body limit holds; then a larger body is tried again."""


class Pacer:
    """Spaces requests evenly, so that no minute ever sees more of them than allowed.

    Args:
        per_minute: Requests a minute at most; None for no limit.
        stop: Ends a wait.
        clock: The time.
    """

    def __init__(self, per_minute: int | None, stop: threading.Event, clock: Clock) -> None:
        self._spacing = 60.0 / per_minute if per_minute else 0.0
        self._stop = stop
        self._clock = clock
        self._next = clock.monotonic()

    def wait_for_turn(self) -> bool:
        """Wait until a request may be made; False if `stop` came first."""
        if not self._spacing:
            return True
        wait = self._next - self._clock.monotonic()
        if wait > 0 and self._clock.sleep(self._stop, wait):
            return False
        self._next = max(self._next, self._clock.monotonic()) + self._spacing
        return True


class BodyLimit:
    """The size of a body that goes through, learned from 413 answers.

    A limit of bytes, not of events: a proxy counts bytes, and events differ.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._bytes: int | None = None
        self._until = 0.0

    @property
    def bytes(self) -> int | None:
        """Bytes that a body may have, as far as is known; None for no known limit."""
        return self._bytes if self._clock.monotonic() < self._until else None

    def refuse(self, size: int) -> None:
        """Learn that a body of this size is too large."""
        self._bytes = size // 2
        self._until = self._clock.monotonic() + LIMIT_SECONDS

    def accept(self, size: int) -> None:
        """Learn that a body of this size goes through."""
        if self._bytes is not None:
            self._bytes = max(self._bytes, size)
