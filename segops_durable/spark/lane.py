"""A lane: the outbox of a partition, filled by the chunk, and drained before its task ends.

No thread sends here, and no timer: a chunk is stored whole, and sent before the next one is, so
that a request is a chunk whatever happens to the task. The next attempt makes the same chunks, and
passes over those that are stored.
"""

from __future__ import annotations

import hashlib
import shutil
import threading
import time
from typing import TYPE_CHECKING

from segops_durable.client import delivery_of, intake_of, open_outbox
from segops_durable.errors import (
    CredentialsError,
    DamagedCheckpointError,
    DamagedOutboxError,
    PendingEventsError,
    ReplacedOutboxError,
    SegOpsError,
    StorageError,
    WrongAddressError,
)
from segops_durable.intake import Encoded
from segops_durable.outbox import Checkpoint
from segops_durable.spark.letters import fields_of
from segops_durable.spark.pace import Turns
from segops_durable.spark.scratch import uuid_of
from segops_durable.system.clock import Clock, Moment

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path
    from types import TracebackType
    from typing import Any

    from typing_extensions import Self

    from segops_durable.spark.place import Place
    from segops_durable.spark.scratch import Scratch
    from segops_durable.spark.settings import Settings

_FILE = "outbox.db"
_CHUNK = "chunk "
_HOPELESS = (CredentialsError, WrongAddressError)  # somebody has to see to it
_UNSOUND = (DamagedOutboxError, DamagedCheckpointError, ReplacedOutboxError)
_LEAST_PAUSE, _LONGEST_PAUSE = 0.5, 30.0


class Lane:
    """The outbox of a partition; whoever makes it has its directory to himself.

    Args:
        settings: What the write was told.
        api_key: A secret key.
        place: Which partition it is.
        scratch: Has the time of the lane's last request.
        directory: Where the outbox is.

    Attributes:
        changed: The first chunk that was not as in the attempt before; None if all were.

    Raises:
        StorageError: The outbox cannot be opened.
    """

    def __init__(
        self, settings: Settings, api_key: str, place: Place, scratch: Scratch, directory: Path
    ) -> None:
        self.changed: int | None = None
        self._patience = settings.drain_timeout
        self._turns = Turns(scratch.pace(place), settings.spacing)
        self._wait = threading.Event()
        self._errors: list[SegOpsError] = []
        limit = settings.max_requests_per_minute
        self._options = settings.for_client(
            api_key,
            queue_path=directory / _FILE,
            on_error=self._errors.append,
            max_requests_per_minute=limit and limit // (settings.lanes or 1),
        )
        self._uuid = uuid_of(place)
        self._open()
        if not self._is_sound():
            # what is left of it may lack a checkpoint, or have its events under other ids: all of
            # it comes again, and goes out under the keys that it had
            self.close()
            shutil.rmtree(directory)
            self._open()
        self._chunks: dict[str, str] = self._outbox.checkpoints.positions(_CHUNK)

    @property
    def accepted(self) -> int:
        """Events that SegOps has accepted, in all attempts."""
        return self._outbox.waiting.counts().accepted_total

    def store(self, number: int, encoded: Sequence[bytes]) -> None:
        """Store a chunk with its number, in one transaction, unless it is stored already.

        Args:
            number: The number of the chunk.
            encoded: Its events.

        Raises:
            CheckpointConflictError: Another process writes this lane.
            StorageError: It could not be stored.
        """
        name, digest = f"{_CHUNK}{number}", _digest_of(encoded)
        known = self._chunks.get(name)
        if known == digest:
            return
        if known is not None and self.changed is None:
            self.changed = number
        checkpoint = Checkpoint(name, digest, known, is_first=known is None)
        moments = [Moment(self._clock.time())] * len(encoded)  # a row says itself when it occurred
        self._intake.append(Encoded([*encoded], moments), None, checkpoint, self._delivery)
        self._chunks[name] = digest

    def drain(self) -> None:
        """Send all that waits, however long it takes, as long as some of it is delivered.

        Raises:
            SegOpsError: Nothing was for `drain_timeout`, or the key or the address is wrong.
        """
        before = self._outbox.waiting.counts()
        end = time.monotonic() + self._patience
        while before.pending:
            self._wait.wait(self._turns.seconds_to_wait())
            self._errors.clear()
            self._turns.leave()
            self._delivery.sender.run_round(is_asked_for=True)
            self._turns.come_back()
            now = self._outbox.waiting.counts()
            if now.pending < before.pending:
                end = time.monotonic() + self._patience
            elif now.pending:
                self._pause(end, now.pending)
            before = now

    def letters(self) -> Iterator[dict[str, Any]]:
        """What is told of each event that is not sent any more."""
        return map(fields_of, self._outbox.dead_letters)

    def close(self) -> None:
        """Close the file and the connections; what waits is on disk."""
        self._delivery.sender.close()
        self._delivery.sender.place.give_up()
        self._outbox.close()
        self._delivery.close()

    def _pause(self, end: float, pending: int) -> None:
        """Wait before the next round, or give up."""
        error = self._errors[-1] if self._errors else self._delivery.report.last_error
        left = end - time.monotonic()
        if isinstance(error, _HOPELESS):
            raise error
        if left <= 0:
            raise PendingEventsError(pending=pending, dead=0) from error
        pause = max(_LEAST_PAUSE, self._delivery.sender.pause_seconds)
        self._wait.wait(min(pause, _LONGEST_PAUSE, left))

    def _open(self) -> None:
        path = self._options.outbox_path
        self._clock = Clock()
        self._outbox = open_outbox(self._options, path, self._clock, self._uuid)
        self._intake = intake_of(self._options, self._outbox, None, self._clock)
        self._delivery = delivery_of(self._options, self._outbox, None, self._clock)

    def _is_sound(self) -> bool:
        """Whether the file is as the last attempt left it."""
        try:
            self._outbox.look_after()
            self._outbox.checkpoints.positions(_CHUNK)
        except StorageError as error:
            if isinstance(error, _UNSOUND):
                return False
            raise
        return not any(isinstance(each, _UNSOUND) for each in self._outbox.pop_incidents())

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def _digest_of(encoded: Sequence[bytes]) -> str:
    """What tells a chunk from another one."""
    return hashlib.sha256(b"\n".join(encoded)).hexdigest()[:32]
