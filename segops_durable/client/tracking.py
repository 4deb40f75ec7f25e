"""Storing events: one, many, or those of a file."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice
from typing import IO, TYPE_CHECKING, Any

from segops_durable import outbox
from segops_durable.client.checks import checked_path
from segops_durable.client.opened import Opened
from segops_durable.errors import (
    ConfigurationError,
    InvalidEventError,
)
from segops_durable.errors.plain_text import shown
from segops_durable.events import Context, Event, make_event, make_identify_event
from segops_durable.intake import imports

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Mapping, Sequence
    from datetime import datetime
    from uuid import UUID

    from segops_durable.intake.imports import (
        FieldMap,
        FileOptions,
        Importer,
        ImportResult,
        Mended,
        Progress,
        Source,
    )
    from segops_durable.outbox import Checkpoint

CHUNK_ROWS = 500
"""Events in one transaction of `SegOpsClient.track_many`."""


class Tracking(Opened):
    """What stores events; the calls of `SegOpsClient`."""

    def track(
        self,
        event: Event | Mapping[str, Any] | None = None,
        *,
        user_id: str | int | UUID | None = None,
        event_type: str | None = None,
        occurred_at: str | datetime | None = None,
        payload: Mapping[str, Any] | None = None,
        anonymous_id: str | int | UUID | None = None,
        priority: str | None = None,
    ) -> None:
        """Store an event; it is on disk when this returns. Never waits for the network.

        Args:
            event: An `Event` or a dict, instead of the keywords.
            user_id: Your identifier for the user; an integer or a UUID is sent as its text.
            event_type: A snake_case name, e.g. ``page_viewed``.
            occurred_at: ISO 8601 text with a zone, or an aware datetime. Defaults to now.
            payload: Any properties; `Event` says which types. Defaults to none.
            anonymous_id: A visitor's id, which SegOps links to the user; under a public key it
                can only be the device's own. Defaults to that, under a secret key to none.
            priority: ``high``, ``normal`` or ``low``: which of the user's events leave first, as
                `Event` says. Defaults to ``normal``.

        Raises:
            InvalidEventError: A ValueError that names the field and the value.
            QueueFullError: A StorageError: there is no room for it, and it is not stored.
            StorageError: It could not be stored, or it is unknown whether it was.
            ClosedError: The client is shut down.
        """
        if event is None:
            event = {
                "user_id": user_id,
                "event_type": event_type,
                "occurred_at": occurred_at,
                "payload": payload,
                "anonymous_id": anonymous_id,
                "priority": priority,
            }
        self._store([event if type(event) is dict else make_event(event)])

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
            How many were stored; what `before_store` drops is not.

        Raises:
            ConfigurationError: The checkpoint is not one.
            InvalidEventError: One of them cannot be sent; its chunk was not stored.
            StorageError: A chunk could not be stored, or it is unknown whether it was.
            ClosedError: The client is shut down.
        """
        if not isinstance(events, Iterable):
            raise InvalidEventError("events", "must be an iterable of events", events)
        if checkpoint is not None:
            place = as_checkpoint(checkpoint)
            return self._store([_as_it_is_now(event) for event in events], place)
        stored = 0
        largest = min(CHUNK_ROWS, self._options.max_queue_events or CHUNK_ROWS)
        coming = iter(events)
        while chunk := [_as_it_is_now(event) for event in islice(coming, largest)]:
            stored += self._store(chunk)
            if len(chunk) < largest:
                break  # an iterator that has ended is not asked again
        return stored

    def identify(
        self,
        context: Context | Mapping[str, Any] | None = None,
        *,
        user_id: str | int | UUID | None = None,
        traits: Mapping[str, Any] | None = None,
        anonymous_id: str | int | UUID | None = None,
        priority: str | None = None,
    ) -> None:
        """Store what is known of a user, as a ``context_identified`` event.

        Args:
            context: A `Context` or a dict, instead of the keywords.
            user_id: Your identifier for the user; an integer or a UUID is sent as its text.
            traits: Properties of the user. Defaults to none.
            anonymous_id: As for `track`.
            priority: As for `track`.

        Raises:
            InvalidEventError: A ValueError that names the field and the value.
            QueueFullError: A StorageError: there is no room for it, and it is not stored.
            StorageError: It could not be stored, or it is unknown whether it was.
            ClosedError: The client is shut down.
        """
        self._store([make_identify_event(context, user_id, traits, anonymous_id, priority)])

    def import_events(
        self,
        source: str | os.PathLike[str] | IO[bytes] | Source,
        *,
        field_map: FieldMap | None = None,
        file_format: str | None = None,
        file_options: FileOptions | None = None,
        rejects: str | os.PathLike[str] | None = None,
        max_errors: int | None = None,
        job: str | None = None,
        restart: bool = False,
        on_progress: Callable[[Progress], object] | None = None,
    ) -> ImportResult:
        """Store the events of a file; killed at any instant and run again, it goes on.

        The place is stored with the events, in one transaction, for that content and that
        mapping: so a copy of the file is known as well, and a file that was edited, or is to
        be read otherwise, is refused. No line is stored twice or missed.

        Args:
            source: A path, a URL or a stream of bytes: JSON Lines, CSV or Parquet. Texts may be
                compressed with gzip, bzip2, xz or zstd, whatever the name. A directory with
                ``_SUCCESS`` is imported part by part, none before all were looked at.
                Parquet and zstd need the extra ``etl``, URLs (``s3://…``) ``cloud``.
            field_map: Which column is what of an event. Defaults to those of the same names,
                and the rest in the payload.
            file_format: ``jsonl``, ``csv`` or ``parquet``. Defaults to what the name says.
            file_options: How a text is written, where its beginning does not say it, and what
                a URL is opened with. Defaults to what is found.
            rejects: A file for the records that are no events, as JSON Lines with ``file``,
                ``line``, ``last_line``, ``reason``, ``record`` and what it takes to import them
                with `import_rejected`. Defaults to none: they are counted.
            max_errors: Records that may be rejected before it stops. Defaults to any number.
            job: A name to find the place by, for a stream or a file that moves. A stream is
                read anew up to the place. Defaults to the file's content.
            restart: Begin anew, whatever is stored of it; the events are stored once more.
                Defaults to False.
            on_progress: Called after each transaction. Defaults to nobody.

        Raises:
            ConfigurationError: The format is unknown, or an extra is missing; a column is not
                there; or it was imported with another mapping. Nothing is stored.
            ImportStoppedError: Too many records were bad, or the file has changed.
            CheckpointConflictError: Another process imports the same file.
            StorageError: Events could not be stored; `QueueFullError`, if there is no room.
            ClosedError: The client is shut down.
            OSError: The file cannot be read.
        """
        self._check_open()
        importer = self.importer(field_map, max_errors)
        if isinstance(source, imports.Source):
            opened = [source]
        else:
            opened = imports.open_sources(source, file_format, file_options)
        path = checked_path(rejects, "rejects")
        prepared = [importer.prepare(each, job, is_restart=restart) for each in opened]
        return imports.total_of([importer.run(each, path, on_progress) for each in prepared])

    def import_rejected(
        self,
        rejects: str | os.PathLike[str],
        *,
        field_map: FieldMap | None = None,
        on_bad: Callable[[Mended, str], object] | None = None,
    ) -> ImportResult:
        """Store what was mended in a file of rejects; each record once, however often it is called.

        Args:
            rejects: A file that `import_events` has written. The ``record`` of its lines (or
                ``record_base64``, or ``values``) may be mended; the rest has to stay.
            field_map: As it was when they were rejected. Defaults to that of `import_events`.
            on_bad: Called with each record that is still bad, and the reason. Defaults to none.

        Raises:
            ConfigurationError: It is no file of rejects, or of another mapping. Nothing is stored.
            CheckpointConflictError: Another process imports the same records.
            StorageError: Events could not be stored; `QueueFullError`, if there is no room.
            ClosedError: The client is shut down.
            OSError: The file cannot be read.
        """
        self._check_open()
        path = checked_path(rejects, "rejects")
        if path is None:
            raise ConfigurationError("rejects must be the path of a file", field="rejects")
        return self.importer(field_map).repairs.run(path, on_bad)

    def importer(
        self, field_map: FieldMap | None = None, max_errors: int | None = None
    ) -> Importer:
        """What `import_events` uses: several files, all looked at before the first is stored.

        Args:
            field_map: As for `import_events`.
            max_errors: As for `import_events`.

        Raises:
            ClosedError: The client is shut down.
        """
        self._check_open()
        return imports.Importer(
            self._outbox,
            self._intake,
            self._delivery.current,
            self._clock,
            field_map=field_map or imports.FieldMap(),
            max_rows=self._options.max_queue_events,
            max_errors=max_errors,
        )

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
        return self._outbox.checkpoints.position(job)

    def _store(
        self, events: Sequence[Event | dict[str, Any]], checkpoint: Checkpoint | None = None
    ) -> int:
        self._check_open()
        return self._intake.store(events, self._delivery.current, checkpoint)


def _as_it_is_now(event: Event | Mapping[str, Any]) -> Event | dict[str, Any]:
    """What was handed over, of which an iterator may make the next event."""
    return event.copy() if type(event) is dict else make_event(event)


def as_checkpoint(given: object) -> Checkpoint:
    """What was given to `track_many` as its checkpoint.

    Raises:
        ConfigurationError: It is none.
    """
    try:
        return outbox.Checkpoint(*given)  # type: ignore[misc]  # whatever was given
    except TypeError:
        problem = f"checkpoint must be a name and a position, got {shown(given)}"
        raise ConfigurationError(problem, field="checkpoint") from None
