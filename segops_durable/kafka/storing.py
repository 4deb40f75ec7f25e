"""The transaction: the events of a batch, and the place after it, of each of its partitions."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, NamedTuple

from segops_durable.errors import CheckpointConflictError, QueueFullError
from segops_durable.identity import NO_IDENTITY
from segops_durable.outbox import Checkpoint, Entry

if TYPE_CHECKING:
    from collections.abc import Sequence

    from segops_durable.client import SegOpsClient
    from segops_durable.intake import Listener
    from segops_durable.kafka.cluster import Key
    from segops_durable.kafka.places import Place, Places
    from segops_durable.system.clock import Moment

_LOOK_SECONDS = 0.5


class Write(NamedTuple):
    """What is to be stored of one partition.

    Attributes:
        key: The partition.
        place: The place after it.
        encoded: The events.
        moments: When each was read.
        messages: How many messages they are of.
        rejected: How many of those were no events.
        dropped: How many events were dropped.
        tombstones: How many messages had no value.
        priorities: Which events go first; None where all are as any.
    """

    key: Key
    place: Place
    encoded: Sequence[bytes] = ()
    moments: Sequence[Moment] = ()
    messages: int = 0
    rejected: int = 0
    dropped: int = 0
    tombstones: int = 0
    priorities: Sequence[str] | None = None


class Storing:
    """Stores events with the places after them.

    Args:
        client: Where to; it says as well whether to wait for room in a full outbox.
        places: How far each partition is; moved on with what is stored.
        stop: Ends the wait.
    """

    def __init__(self, client: SegOpsClient, places: Places, stop: threading.Event) -> None:
        self._client = client
        self._intake = client._intake  # noqa: SLF001 - the same package, as below
        self._waits = client._options.overflow == "block"  # noqa: SLF001
        self._patience = client._options.overflow_timeout  # noqa: SLF001
        self._places = places
        self._stop = stop

    def store(self, writes: Sequence[Write]) -> list[Write]:
        """Store all in one transaction; of a partition everything or nothing.

        Where the outbox is full and the client has ``overflow="block"``, it waits: the messages
        are Kafka's, and safe there.

        Returns:
            What was stored: all, unless it was stopped while it waited.

        Raises:
            CheckpointConflictError: Somebody else has moved on a partition.
            QueueFullError: There is no room, and it is not to wait.
            StorageError: It could not be stored, or it is unknown whether it was.
            ClosedError: The client is shut down.
        """
        if self._intake.before_append is not None:
            for each in writes:
                self._intake.before_append(each.encoded)
        waiting, done = list(writes), list[Write]()
        began = time.monotonic()
        while waiting:
            errors = self._append(waiting)
            fared = list(zip(waiting, errors, strict=True))
            done += [self._settled(each) for each, error in fared if error is None]
            waiting = [each for each, error in fared if error is not None]
            others = [error for error in errors if error is not None]
            full = [error for error in others if isinstance(error, QueueFullError)]
            if not others:
                break
            if len(full) < len(others):
                raise next(self._explained(each, error) for each, error in fared if error)
            if not self._waits:
                raise full[0]
            began = self._wait(began, full[0])
            if self._stop.is_set():
                break
        return done

    def _listener(self) -> Listener:
        return self._client._delivery.current  # noqa: SLF001

    def _append(self, writes: Sequence[Write]) -> Sequence[Exception | None]:
        entries = []
        for each in writes:
            stored = self._places.stored[each.key]
            job, position = self._places.job(each.key), each.place.as_position()
            # two processes that read one partition would store each message twice
            checkpoint = Checkpoint(job, position, stored, is_first=stored is None)
            entries.append(
                Entry(each.encoded, NO_IDENTITY, each.moments, checkpoint, each.priorities)
            )
        return self._intake.append_together(entries, self._listener())

    def _settled(self, write: Write) -> Write:
        self._places.stored[write.key] = write.place.as_position()
        self._places.current[write.key] = write.place
        return write

    def _wait(self, began: float, error: QueueFullError) -> float:
        """Wait for room, for a moment; have it told of now and then that it is waited for."""
        now = time.monotonic()
        if now - began >= self._patience:
            self._listener().postpone(error)
            began = now
        if not self._listener().make_room(_LOOK_SECONDS):
            # not for `stop`: a handler of signals that sets it interrupts this very thread, and
            # would wait for the lock that the wait has
            threading.Event().wait(_LOOK_SECONDS)
        return began

    def _explained(self, write: Write, error: Exception) -> Exception:
        if not isinstance(error, CheckpointConflictError):
            return error
        name, number = write.key
        return CheckpointConflictError(
            f"{name} [{number}]: another process consumes this partition into the same outbox",
            hint="Nothing was stored twice. Give each process partitions of its own",
        )
