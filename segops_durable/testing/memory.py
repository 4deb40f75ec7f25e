"""What a client stores into, in memory: without a file.

What it says of events and of arguments is said by the same code as in a real client: here is
only where they end up.
"""

from __future__ import annotations

import json
import threading
import uuid
from typing import TYPE_CHECKING, Any, NamedTuple

from segops_durable.errors import ClosedError, QueueFullError
from segops_durable.identity import NO_IDENTITY, identities_of, name_of
from segops_durable.outbox import (
    Counts,
    check_follows,
    check_job,
    checked_ids,
    encoded_position,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from segops_durable.client import Options
    from segops_durable.outbox import Checkpoint, DeadLetter
    from segops_durable.system.clock import Clock, Moment


class _Row(NamedTuple):
    data: bytes
    identity: str
    tracked_at: float

    @property
    def event(self) -> dict[str, Any]:
        """The event as SegOps would have it: under a public key it is the session's user's."""
        event: dict[str, Any] = json.loads(self.data)
        user = name_of(self.identity)
        return {**event, "user_id": user} if user else event

    def is_of(self, name: str) -> bool:
        """Whether a person is who it was tracked for, or is named in it."""
        event = json.loads(self.data)
        fields = ("user_id", "anonymous_id") if self.identity == NO_IDENTITY else ("user_id",)
        is_named = any(event.get(field) == name for field in fields)
        return self.identity in identities_of(name) or is_named


class MemoryOutbox:
    """Keeps events and checkpoints in lists, for as long as it lives.

    Args:
        options: What the client was given.
        clock: The time.

    Attributes:
        commit: Stores events; this itself, as are the next ones.
        waiting: How much waits.
        owner: Whose it is.
        erasure: Erases what waits of a person.
        checkpoints: How far jobs have come.
        dead_letters: None, ever.
        is_closed: Whether it says no more how it stands.
    """

    def __init__(self, options: Options, clock: Clock) -> None:
        self.commit = self.waiting = self.owner = self.erasure = self
        self.checkpoints: MemoryCheckpoints = MemoryCheckpoints()
        self.dead_letters: NoDeadLetters = NoDeadLetters()
        self.is_closed: bool = False
        self._options = options
        self._clock = clock
        self._rows: list[_Row] = []
        self._accepted = 0  # of the rows; the others wait
        self._accepted_at: float | None = None
        self._dropped = 0
        self._anonymous_id = str(uuid.uuid4())
        # of a thread of the application's, or of a signal handler within one: both may track
        self._lock = threading.RLock()

    def events(self) -> list[dict[str, Any]]:
        """All events, accepted or waiting, oldest first."""
        return [row.event for row in tuple(self._rows)]

    def accept(self) -> int:
        """Have all that waits accepted; return how many those are."""
        with self._lock:
            count = len(self._rows) - self._accepted
            if count:
                self._accepted = len(self._rows)
                self._accepted_at = self._clock.time()
            return count

    def check_writable(self) -> None:
        """Nothing is in the way."""

    # As `outbox.commit` has it

    def append(
        self,
        events: Sequence[bytes],
        identity: str = NO_IDENTITY,
        moments: Sequence[Moment] | None = None,  # noqa: ARG002 - no clock is set meanwhile
        checkpoint: Checkpoint | None = None,
        priorities: Sequence[str] | None = None,  # noqa: ARG002 - all are accepted at once
    ) -> None:
        """Keep encoded events, all of them or none."""
        position = None if checkpoint is None else encoded_position(checkpoint)
        now = self._clock.time()
        with self._lock:
            if checkpoint is not None and position is not None:
                check_follows(checkpoint, lambda: self.checkpoints.position(checkpoint.name))
            self._make_room(events)
            if checkpoint is not None and position is not None:
                self.checkpoints.texts[checkpoint.name] = position
            self._rows += [_Row(data, identity, now) for data in events]

    def _make_room(self, events: Sequence[bytes]) -> None:
        """Let the oldest go, or refuse what is more than may wait."""
        most, most_bytes = self._options.max_queue_events, self._options.max_queue_bytes
        waiting = self._rows[self._accepted :]
        over = 0 if most is None else len(waiting) + len(events) - most
        used = sum(len(row.data) for row in waiting) + sum(map(len, events))
        while waiting and (over > 0 or (most_bytes is not None and used > most_bytes)):
            if self._options.overflow != "drop_oldest":
                break
            over -= 1
            used -= len(waiting.pop(0).data)
        if over > 0 or (most_bytes is not None and used > most_bytes):
            raise QueueFullError(
                f"the outbox in memory is full: {len(waiting)} events wait in it",
                path=str(self._options.outbox_path),
                hint="Events are sent, and make room, when the client is flushed",
            )
        self._dropped += len(self._rows) - self._accepted - len(waiting)
        self._rows[self._accepted :] = waiting

    # As `outbox.waiting` has it

    def counts(self) -> Counts:
        """How it stands; what is in memory takes no disk.

        Raises:
            ClosedError: It is closed.
        """
        if self.is_closed:
            raise ClosedError("the client is shut down", hint="Make a new client")
        with self._lock:
            waiting = self._rows[self._accepted :]
            return Counts(
                pending=len(waiting),
                dead=0,
                accepted_total=self._accepted,
                dropped_total=self._dropped,
                lost_total=0,
                expired_total=0,
                last_id=len(self._rows),
                oldest_at=waiting[0].tracked_at if waiting else None,
                last_accepted_at=self._accepted_at,
                queue_bytes=sum(len(row.data) for row in waiting),
            )

    def count_of(self, identities: Sequence[str]) -> dict[str, int]:
        """None of them is held."""
        return dict.fromkeys(identities, 0)

    # As `outbox.owner` and `outbox.erasure` have it

    def anonymous_id(self) -> str:
        """The id of the device's visitor."""
        return self._anonymous_id

    def renew_anonymous_id(self) -> str:
        """Make a new id, and return it."""
        self._anonymous_id = str(uuid.uuid4())
        return self._anonymous_id

    def keep_key(self, key_fingerprint: str) -> None:
        """Nothing here depends on the key."""

    def forget(self, name: str) -> int:
        """Erase what waits of a person; return how many events those were."""
        with self._lock:
            waiting = self._rows[self._accepted :]
            left = [row for row in waiting if not row.is_of(name)]
            self._rows[self._accepted :] = left
            return len(waiting) - len(left)


class MemoryCheckpoints:
    """How far jobs have come.

    Attributes:
        texts: The position of each job, as JSON.
    """

    def __init__(self) -> None:
        self.texts: dict[str, str] = {}

    def position(self, name: str) -> Any:  # noqa: ANN401 - whatever the job has stored
        """The position that was stored last under a name; None if there is none."""
        check_job(name)
        return json.loads(self.texts[name]) if name in self.texts else None

    last = position

    def positions(
        self,
        prefix: str,
        _before: Mapping[str, Any] | None = None,
        _seen: dict[str, Sequence[Any]] | None = None,
    ) -> dict[str, Any]:
        """All positions whose names begin so, by name."""
        found = dict(self.texts)
        return {name: json.loads(text) for name, text in found.items() if name.startswith(prefix)}

    def version(self) -> int:
        """What stays equal until another process has written: none can."""
        return 0


class NoDeadLetters:
    """The dead letters where SegOps refuses nothing."""

    def __iter__(self) -> Iterator[DeadLetter]:
        return iter(())

    def retry(self, ids: Iterable[int] | None = None) -> int:
        """Put none back."""
        return 0 if ids is None else self.discard(ids)

    def discard(self, ids: Iterable[int]) -> int:
        """Remove none."""
        checked_ids(ids)
        return 0
