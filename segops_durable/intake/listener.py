"""Who hears of what is stored, as far as whoever stores it has to know."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from segops_durable.errors import SegOpsError


class Listener(Protocol):
    """A client's delivery; or, for a command that only stores, one that does next to nothing."""

    def notice(self, events: int) -> None:
        """Hear of events that are on disk now."""

    def make_room(self, timeout: float) -> bool:
        """Wait, a moment or so many seconds, until a full outbox may have room again.

        Returns:
            Whether it may; False if nobody can make room while the calling thread waits.
        """

    def postpone(self, error: SegOpsError) -> None:
        """Have an error told of later, by whoever may wait for the application."""
