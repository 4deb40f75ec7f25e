"""The size that bodies of requests may have, as far as it is known."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from segops_durable.system.clock import Clock

LIMIT_SECONDS = 600.0
"""How long a learned body limit holds; then a larger body is tried again."""


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
