"""The client within: what only the asynchronous one asks of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import segops_durable.client.opening  # noqa: F401 - all is loaded here, before there is a loop
from segops_durable.client import CHUNK_ROWS, SegOpsClient
from segops_durable.intake import Draft

if TYPE_CHECKING:
    from collections.abc import Sequence

    from segops_durable.errors import SegOpsError
    from segops_durable.outbox import Entry


class InnerClient(SegOpsClient):
    """A `SegOpsClient` whose events come in drafts, and are stored together."""

    @property
    def patience(self) -> float:
        """Seconds that an event waits for room in a full outbox."""
        return self._options.overflow_timeout if self._options.overflow == "block" else 0.0

    @property
    def chunk_rows(self) -> int:
        """Events in a transaction of `track_many` at most."""
        return min(CHUNK_ROWS, self._options.max_queue_events or CHUNK_ROWS)

    def wake(self) -> None:
        """Have a thread and connections of this process's own, in a child of a fork."""
        self._check_open()
        self._delivery.current  # noqa: B018 - to be asked for is what wakes it

    def draft(self) -> Draft:
        """Begin a draft, for whoever is the user of the calling task; touches no disk.

        Raises:
            ClosedError: The client is shut down.
        """
        self._check_open()
        return Draft(self._intake, self._delivery.current)

    def store_together(
        self, entries: Sequence[Entry], *, is_brief: bool = False
    ) -> list[SegOpsError | None]:
        """Store what several calls have to, in one transaction; say how each fared.

        Args:
            entries: What is to be stored.
            is_brief: Whether only a moment is waited for whoever has the outbox locked. Defaults
                to False.

        Raises:
            BusyOutboxError: None of it was stored: another process or thread has it locked.
            StorageError: None of it could be stored, or it is unknown whether it was.
            ClosedError: The client is shut down.
        """
        self._check_open()
        return self._intake.append_together(entries, self._delivery.current, is_brief=is_brief)

    def make_room(self, seconds: float) -> None:
        """Have events sent, and wait until a full outbox may have room again; a moment at most."""
        self._delivery.current.make_room(seconds)
