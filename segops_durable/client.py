"""`SegOpsClient`: the wiring, and nothing else."""

from __future__ import annotations

import atexit
import os
import time
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from segops_durable.clock import Clock
from segops_durable.errors import ClosedError, ConfigurationError
from segops_durable.events import Context, Event, make_event, make_identify_event
from segops_durable.identity import name_of
from segops_durable.importer import (
    FieldMap,
    Importer,
    ImportResult,
    Progress,
    Source,
    open_source,
)
from segops_durable.intake import Intake
from segops_durable.living import LivingDelivery
from segops_durable.options import Durability, Options, Overflow, checked_path, options_from_env
from segops_durable.outbox import Checkpoint, Outbox, find_outbox, warn_of_leftovers
from segops_durable.status import FlushResult, State, Stats

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from types import TracebackType

    import requests
    from typing_extensions import Self

    from segops_durable.errors import SegOpsError
    from segops_durable.events import UserContext
    from segops_durable.outbox import DeadLetter

CHUNK_ROWS = 500
"""Events in one transaction of `SegOpsClient.track_many`."""

GRACE_SECONDS = 0.25
"""What a request under way is given to be answered when the time of a shutdown is over."""


class SegOpsClient:
    """Sends user events to SegOps, and keeps each on disk until SegOps has accepted it.

    A drop-in for the official client. Safe for use by many threads, and after a fork in
    both processes. `Options` tells what each argument means, its unit and default.

    Raises:
        ConfigurationError: A ValueError that names the option.
        StorageError: The outbox cannot be opened.
    """

    def __init__(
        self,
        api_url: str,
        api_key: str,
        *,
        get_user: Callable[[], UserContext | None] | None = None,
        user_context_for: Callable[[str], UserContext | None] | None = None,
        batch: bool = True,
        batch_size: int = 20,
        flush_interval: float = 5.0,
        on_error: Callable[[SegOpsError], object] | None = None,
        timeout: float = 10.0,
        queue_path: str | os.PathLike[str] | None = None,
        durability: Durability = "full",
        max_queue_events: int | None = None,
        max_queue_bytes: int | None = None,
        max_event_bytes: int = 262_144,
        overflow: Overflow = "raise",
        overflow_timeout: float = 30.0,
        allow_network_filesystem: bool = False,
        max_retries: int = 3,
        max_retry_after: float = 3600.0,
        max_requests_per_minute: int | None = None,
        shutdown_timeout: float = 5.0,
        http_session: requests.Session | None = None,
        allow_insecure: bool = False,
    ) -> None:
        self._start(
            Options(
                api_url=api_url,
                api_key=api_key,
                get_user=get_user,
                user_context_for=user_context_for,
                batch=batch,
                batch_size=batch_size,
                flush_interval=flush_interval,
                on_error=on_error,
                timeout=timeout,
                queue_path=checked_path(queue_path),
                durability=durability,
                max_queue_events=max_queue_events,
                max_queue_bytes=max_queue_bytes,
                max_event_bytes=max_event_bytes,
                overflow=overflow,
                overflow_timeout=overflow_timeout,
                allow_network_filesystem=allow_network_filesystem,
                max_retries=max_retries,
                max_retry_after=max_retry_after,
                max_requests_per_minute=max_requests_per_minute,
                shutdown_timeout=shutdown_timeout,
                http_session=http_session,
                allow_insecure=allow_insecure,
            )
        )

    @classmethod
    def from_env(cls, **overrides: Any) -> SegOpsClient:  # noqa: ANN401 - Options checks each
        """Make a client of ``SEGOPS_API_URL``, ``SEGOPS_API_KEY``, ``SEGOPS_QUEUE_PATH``, ….

        Args:
            **overrides: The constructor's arguments; they win over the environment.

        Raises:
            ConfigurationError: A required variable is missing, or one cannot be read.
        """
        if "queue_path" in overrides:
            overrides["queue_path"] = checked_path(overrides["queue_path"])
        return cls.of(options_from_env(**overrides))

    @classmethod
    def of(cls, options: Options) -> SegOpsClient:
        """Make a client of `Options` that are checked already."""
        client = cls.__new__(cls)
        client._start(options)  # noqa: SLF001 - its own class
        return client

    def _start(self, options: Options) -> None:
        path = options.queue_path or find_outbox(
            options.outbox_path, options.api_url, options.key_fingerprint
        )
        self._options = replace(options, queue_path=path)
        self._closing = False
        self._result: FlushResult | None = None
        self._clock = Clock()
        self._outbox = Outbox.of(options, path, self._clock)
        self._intake = Intake(self._outbox, options, self._clock)
        if options.queue_path is None:
            warn_of_leftovers(path, options.api_url)
        self._living = LivingDelivery(options, self._outbox, self._clock)
        atexit.register(self._at_exit)

    def track(
        self,
        event: Event | Mapping[str, Any] | None = None,
        *,
        user_id: str | None = None,
        event_type: str | None = None,
        occurred_at: str | datetime | None = None,
        payload: Mapping[str, Any] | None = None,
    ) -> None:
        """Store an event; it is on disk when this returns. Never waits for the network.

        Args:
            event: An `Event` or a dict, instead of the keywords.
            user_id: Your identifier for the user.
            event_type: A snake_case name, e.g. ``page_viewed``.
            occurred_at: ISO 8601 text with a zone, or an aware datetime. Defaults to now.
            payload: Any properties; `Event` says which types. Defaults to none.

        Raises:
            InvalidEventError: A ValueError that names the field and the value.
            QueueFullError: A StorageError: there is no room for it, and it is not stored.
            StorageError: It could not be stored, or it is unknown whether it was.
            ClosedError: The client is shut down.
        """
        self._store([make_event(event, user_id, event_type, occurred_at, payload)])

    def track_many(
        self,
        events: Iterable[Event | Mapping[str, Any]],
        *,
        checkpoint: tuple[str, Any] | None = None,
    ) -> int:
        """Store many events, 500 to a transaction: each chunk is stored whole or not at all.

        The chunks before a failing one stay stored. With a checkpoint all events are stored
        in one transaction with it, or none: a job that is killed at any instant and reads its
        `checkpoint` when it starts again neither misses nor doubles an event.

        Args:
            events: Events or dicts; an iterator is read as it goes, with a checkpoint at once.
            checkpoint: A job's name, and the position that it has reached with these events:
                any value that JSON can carry. Defaults to none.

        Returns:
            How many were stored.

        Raises:
            ConfigurationError: The checkpoint is not one.
            InvalidEventError: One of them cannot be sent; its chunk was not stored.
            StorageError: A chunk could not be stored, or it is unknown whether it was.
            ClosedError: The client is shut down.
        """
        if checkpoint is not None:
            whole = [make_event(event) for event in events]
            self._store(whole, Checkpoint(*checkpoint))
            return len(whole)
        stored = 0
        largest = min(CHUNK_ROWS, self._options.max_queue_events or CHUNK_ROWS)
        chunk: list[Event] = []
        for event in events:
            chunk.append(make_event(event))
            if len(chunk) == largest:
                self._store(chunk)
                stored += len(chunk)
                chunk = []
        if chunk:
            self._store(chunk)
        return stored + len(chunk)

    def import_events(
        self,
        source: str | os.PathLike[str] | IO[bytes] | Source,
        *,
        field_map: FieldMap | None = None,
        file_format: str | None = None,
        rejects: str | os.PathLike[str] | None = None,
        max_errors: int | None = None,
        job: str | None = None,
        on_progress: Callable[[Progress], object] | None = None,
    ) -> ImportResult:
        """Store the events of a file; killed at any instant and run again, it goes on.

        The place is stored with the events, in one transaction, for that very file: its
        device, its inode and its beginning. No line is stored twice or missed.

        Args:
            source: A path, or a stream of bytes: JSON Lines, CSV or Parquet; a path may be
                compressed (``.gz``, ``.zst``). Parquet and zstd need the extra ``etl``.
            field_map: Which column is what of an event. Defaults to those of the same names,
                and the rest in the payload.
            file_format: ``jsonl``, ``csv`` or ``parquet``. Defaults to what the name says.
            rejects: A file for the records that are no events, as JSON Lines with ``file``,
                ``line``, ``reason`` and ``record``. Defaults to none: they are counted.
            max_errors: Records that may be rejected before it stops. Defaults to any number.
            job: A name to find the place by, for a stream or a file that moves. A stream is
                read anew up to the place. Defaults to the file's identity.
            on_progress: Called after each transaction.

        Raises:
            ConfigurationError: The format is unknown, or an extra is missing.
            ImportStoppedError: Too many records were bad, or the file has changed.
            CheckpointConflictError: Another process imports the same file.
            StorageError: Events could not be stored; `QueueFullError`, if there is no room.
            ClosedError: The client is shut down.
            OSError: The file cannot be read.
        """
        self._check_open()
        importer = Importer(
            self._outbox,
            self._intake,
            self._living.current,
            self._clock,
            field_map=field_map or FieldMap(),
            max_rows=self._options.max_queue_events,
            max_errors=max_errors,
            on_progress=on_progress,
        )
        opened = source if isinstance(source, Source) else open_source(source, file_format)
        return importer.run(opened, None if rejects is None else Path(rejects), job)

    def checkpoint(self, job: str) -> Any:  # noqa: ANN401 - whatever the job has stored
        """The position that `track_many` has stored last for a job; None if there is none.

        Args:
            job: The job's name.

        Raises:
            ConfigurationError: The name is no text.
            StorageError: The outbox cannot be read.
            ClosedError: The client is shut down.
        """
        self._check_open()
        return self._outbox.checkpoint(job)

    def identify(
        self,
        context: Context | Mapping[str, Any] | None = None,
        *,
        user_id: str | None = None,
        traits: Mapping[str, Any] | None = None,
    ) -> None:
        """Store what is known of a user, as a ``context_identified`` event.

        Args:
            context: A `Context` or a dict, instead of the keywords.
            user_id: Your identifier for the user.
            traits: Properties of the user. Defaults to none.

        Raises:
            InvalidEventError: A ValueError that names the field and the value.
            QueueFullError: A StorageError: there is no room for it, and it is not stored.
            StorageError: It could not be stored, or it is unknown whether it was.
            ClosedError: The client is shut down.
        """
        self._store([make_identify_event(context, user_id, traits)])

    def flush(self, timeout: float | None = None) -> FlushResult:
        """Send now, and wait until all that was stored before is settled or a round fails.

        Does not raise for what could not be sent: the result says it, and
        `FlushResult.raise_for_pending` raises it.

        Args:
            timeout: Seconds to wait at most. Defaults to as long as a round takes.

        Raises:
            ClosedError: The client is shut down.
        """
        self._check_open()
        return self._living.current.flusher.flush(timeout)

    def shutdown(self, timeout: float | None = None) -> FlushResult:
        """Make one last effort to send, then stop. What is left waits on disk.

        Safe to call twice; the second call returns the first one's result. At a normal
        interpreter exit the same is done for a client that was not shut down.

        Args:
            timeout: Seconds for all of it, but for a quarter of a second in which a request
                that is under way may be answered. Defaults to the option `shutdown_timeout`.

        Raises:
            StorageError: The outbox cannot be read; or a signal handler called this in the
                middle of `track`, and then the client is still open.
        """
        with self._living.closing:
            if self._result is None:
                self._check_open()
                self._outbox.check_writable()
                self._closing = True
                patience = self._options.shutdown_timeout if timeout is None else timeout
                self._result = self._shut_down(time.monotonic() + patience)
            return self._result

    def close(self) -> None:
        """Shut down; for code that closes things."""
        self.shutdown()

    @property
    def anonymous_id(self) -> str:
        """The id of the device's visitor: made once, kept in the outbox file, until `reset`.

        Under a public key every event carries it, as with the official Swift client, unless
        `get_user` gives another one.

        Raises:
            StorageError: The outbox cannot be read.
            ClosedError: The client is shut down.
        """
        self._check_open()
        return self._outbox.anonymous_id()

    def reset(self) -> None:
        """Forget who used the device, at log-out: the next visitor gets a new anonymous id.

        Session tokens are forgotten as well. What was tracked before is still sent for
        whomever it was tracked for.

        Raises:
            StorageError: The outbox cannot be written; the id stays.
            ClosedError: The client is shut down.
        """
        self._check_open()
        self._outbox.renew_anonymous_id()
        self.reset_session()

    def reset_session(self) -> None:
        """Forget the session tokens of a public key, so that the next batch mints anew."""
        if self._living.current.handshake is not None:
            self._living.current.handshake.forget()

    def forget(self, identity: str) -> int:
        """Erase what waits of a person, and their dead letters, from the disk.

        Theirs is what was tracked while they used the device under a public key, and every
        event that names them as its `user_id`. What is on its way at that moment may still
        arrive; what SegOps has is SegOps' to erase.

        Args:
            identity: A user id, or a visitor's anonymous id.

        Returns:
            How many waiting events and dead letters were erased.

        Raises:
            ConfigurationError: It is no text, or empty.
            StorageError: The outbox cannot be written, or another process keeps SQLite's log
                in use; then some of it may still be on disk: call it again.
            ClosedError: The client is shut down.
        """
        self._check_open()
        _check_name(identity)
        erased = self._outbox.forget(identity)
        self.reset_session()
        return erased

    def set_api_key(self, api_key: str) -> None:
        """Send with another key from now on; what waited for a key that works goes on at once.

        For the rotation of keys while a device runs. Nothing that waits is lost or changed.

        Args:
            api_key: The new key, of the same kind (``sk_…`` or ``pk_…``) as the old one.

        Raises:
            ConfigurationError: It is no key, or one of another kind; the old one stays.
            StorageError: The outbox cannot be written; the old one stays.
            ClosedError: The client is shut down.
        """
        self._check_open()
        options = self._options.with_key(api_key)
        self._outbox.keep_key(options.key_fingerprint)
        self._options = self._living.options = options
        self._living.current.use_key(api_key)

    def dead_letters(self) -> Iterator[DeadLetter]:
        """Iterate over the events that are not sent any more, oldest first.

        They are in the outbox file, and stay there until `retry_dead_letters` or
        `discard_dead_letters` takes them out.

        Raises:
            ClosedError: The client is shut down.
        """
        self._check_open()
        return iter(self._outbox.dead_letters)

    def retry_dead_letters(self, ids: Iterable[int] | None = None) -> int:
        """Put dead letters back into the queue, to be sent again; in the order of their ids.

        Args:
            ids: Which. Defaults to those that SegOps refused, or found too large. Events that
                SegOps may have accepted (`Cause.SKIPPED`), and damaged ones, are put back
                only by name: the ones could be doubled, the others were never tracked so.

        Returns:
            How many were put back; an id that is not there is passed over.

        Raises:
            ConfigurationError: An id is no integer.
            StorageError: The outbox cannot be written; letters not put back stay.
            ClosedError: The client is shut down.
        """
        self._check_open()
        count = self._outbox.dead_letters.retry(ids)
        self._living.current.flusher.notice(count)
        return count

    def discard_dead_letters(self, ids: Iterable[int]) -> int:
        """Remove dead letters for good.

        Args:
            ids: Which.

        Returns:
            How many were removed; an id that is not there is passed over.

        Raises:
            ConfigurationError: An id is no integer.
            StorageError: The outbox cannot be written.
            ClosedError: The client is shut down.
        """
        self._check_open()
        return self._outbox.dead_letters.discard(ids)

    def stats(self) -> Stats:
        """Say how the client and its outbox stand; cheap, however much waits.

        Raises:
            ClosedError: The client is shut down.
        """
        if not self._closing:
            self._check_open()
        counts = self._outbox.counts()
        held = self._outbox.count_of(self._living.current.flusher.held)
        accepted_at = counts.last_accepted_at
        return Stats(
            pending=counts.pending,
            dead=counts.dead,
            oldest_age=None
            if counts.oldest_at is None
            else max(0, self._clock.time() - counts.oldest_at),
            queue_bytes=counts.queue_bytes,
            accepted_total=counts.accepted_total,
            dropped_total=counts.dropped_total,
            lost_total=counts.lost_total,
            state=State.CLOSED if self._closing else self._living.current.flusher.state,
            retry_at=self._living.current.flusher.retry_at,
            last_error=self._living.current.report.last_error,
            last_accepted_at=accepted_at
            if accepted_at is None
            else datetime.fromtimestamp(accepted_at, timezone.utc),
            held={name_of(each): count for each, count in held.items() if count},
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.shutdown()

    def __repr__(self) -> str:
        return f"SegOpsClient({self._options!r})"

    def _check_open(self) -> None:
        if self._closing:
            raise ClosedError("the client is shut down", hint="Make a new SegOpsClient")

    def _store(self, events: list[Event], checkpoint: Checkpoint | None = None) -> None:
        self._check_open()
        self._intake.store(events, self._living.current, checkpoint)

    def _at_exit(self) -> None:
        # a child that did not use the client has nothing to send
        if os.getpid() == self._living.process_id:
            self.shutdown()

    def _shut_down(self, deadline: float) -> FlushResult:
        atexit.unregister(self._at_exit)
        try:
            return self._living.current.flusher.flush(max(0.0, deadline - time.monotonic()))
        finally:
            self._living.current.flusher.stop(max(deadline - time.monotonic(), GRACE_SECONDS))
            self._outbox.close()
            self._living.current.close()


def _check_name(identity: object) -> None:
    if not isinstance(identity, str) or not identity:
        problem = f"identity must be a user id or an anonymous id, got {identity!r}"
        raise ConfigurationError(problem, field="identity")
