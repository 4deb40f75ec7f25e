"""Storing events from a task: one, many, or those of a file."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice
from typing import TYPE_CHECKING, Any

from segops_durable.aio.opened import Opened
from segops_durable.client import as_checkpoint
from segops_durable.errors import InvalidEventError
from segops_durable.events import Context, Event, make_event, make_identify_event

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Mapping
    from datetime import datetime
    from typing import IO
    from uuid import UUID

    from segops_durable.intake.imports import (
        FieldMap,
        FileOptions,
        ImportResult,
        Mended,
        Progress,
        Source,
    )

_ROWS_IN_A_TURN = 20
"""Events that `track_many` encodes before it lets the other tasks have their turn."""


class AsyncTracking(Opened):
    """What stores events; the calls of `AsyncSegOpsClient`."""

    async def track(
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

        Tasks that track at once share a commit. One that is cancelled here has its event stored
        or not, never half, and no other is affected.

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
        await self._store(event if type(event) is dict else make_event(event))

    async def track_many(
        self,
        events: Iterable[Event | Mapping[str, Any]],
        *,
        checkpoint: tuple[str, Any] | None = None,
    ) -> int:
        """Store many events, 500 to a transaction: each chunk is stored whole or not at all.

        The chunks before a failing one, or a cancellation, stay stored. With a checkpoint all
        events are stored in one transaction with it, or none, as in `SegOpsClient.track_many`.
        The other tasks have their turn every 20 events.

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
        place = None if checkpoint is None else as_checkpoint(checkpoint)
        loop, inner = await self._open()
        writer = self._writers.here()
        largest = inner.chunk_rows
        iterator = iter(events)
        draft, rows, stored = inner.draft(), 0, 0
        while True:
            wanted = _ROWS_IN_A_TURN if place else min(_ROWS_IN_A_TURN, largest - rows)
            some = [_as_it_is_now(each) for each in islice(iterator, wanted)]
            draft.add(some)
            rows += len(some)
            is_last = len(some) < wanted
            if is_last or (rows == largest and place is None):
                stored += await writer.store(loop, draft, place) if rows or place else 0
                if is_last:
                    return stored
                draft, rows = inner.draft(), 0
            else:
                await loop.give_way()

    async def identify(
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
        await self._store(make_identify_event(context, user_id, traits, anonymous_id, priority))

    async def import_events(
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
        """Store the events of a file, on a thread of its own, as `SegOpsClient.import_events` does.

        Cancelled, it ends after the transaction that it is in; called again, it goes on there.

        Args:
            source: A path, a URL or a stream of bytes: JSON Lines, CSV or Parquet.
            field_map: Which column is what of an event. Defaults to those of the same names,
                and the rest in the payload.
            file_format: ``jsonl``, ``csv`` or ``parquet``. Defaults to what the name says.
            file_options: How a text is written. Defaults to what its beginning says.
            rejects: A file for the records that are no events. Defaults to none.
            max_errors: Records that may be rejected before it stops. Defaults to any number.
            job: A name to find the place by. Defaults to the file's content.
            restart: Begin anew, whatever is stored of it. Defaults to False.
            on_progress: Called after each transaction, on that thread. Defaults to nobody.

        Raises:
            ConfigurationError: The format is unknown, or an extra is missing; a column is not
                there; or it was imported with another mapping. Nothing is stored.
            ImportStoppedError: Too many records were bad, or the file has changed.
            CheckpointConflictError: Another process imports the same file.
            StorageError: Events could not be stored; `QueueFullError`, if there is no room.
            ClosedError: The client is shut down.
            NoThreadError: No thread can be started for it.
            OSError: The file cannot be read.
        """
        abandoned: list[bool] = []

        def go_on(progress: Progress) -> None:
            if on_progress is not None:
                on_progress(progress)
            if abandoned:
                raise _AbandonedError

        try:
            return await self._run(
                lambda inner: inner.import_events(
                    source,
                    field_map=field_map,
                    file_format=file_format,
                    file_options=file_options,
                    rejects=rejects,
                    max_errors=max_errors,
                    job=job,
                    restart=restart,
                    on_progress=go_on,
                )
            )
        finally:
            abandoned.append(True)

    async def import_rejected(
        self,
        rejects: str | os.PathLike[str],
        *,
        field_map: FieldMap | None = None,
        on_bad: Callable[[Mended, str], object] | None = None,
    ) -> ImportResult:
        """Store what was mended in a file of rejects; each record once, however often it is called.

        Args:
            rejects: A file that `import_events` has written.
            field_map: As it was when they were rejected. Defaults to that of `import_events`.
            on_bad: Called with each record that is still bad, and the reason, on a thread of its
                own. Defaults to none.

        Raises:
            ConfigurationError: It is no file of rejects, or of another mapping. Nothing is stored.
            CheckpointConflictError: Another process imports the same records.
            StorageError: Events could not be stored; `QueueFullError`, if there is no room.
            ClosedError: The client is shut down.
            NoThreadError: No thread can be started for it.
            OSError: The file cannot be read.
        """
        return await self._run(
            lambda inner: inner.import_rejected(rejects, field_map=field_map, on_bad=on_bad)
        )

    async def checkpoint(self, job: str) -> Any:  # noqa: ANN401 - whatever the job has stored
        """The position that `track_many` has stored last for a job; None if there is none.

        Args:
            job: The job's name.

        Raises:
            ConfigurationError: The name is no text.
            StorageError: The outbox cannot be read.
            ClosedError: The client is shut down.
            NoThreadError: No thread can be started for it.
        """
        return await self._run(lambda inner: inner.checkpoint(job))

    async def _store(self, event: Event | dict[str, Any]) -> None:
        loop, inner = await self._open()
        draft = inner.draft()
        draft.add([event])
        await self._writers.here().store(loop, draft)


class _AbandonedError(Exception):
    """Nobody waits for an import any more."""


def _as_it_is_now(event: Event | Mapping[str, Any]) -> Event | dict[str, Any]:
    """What was handed over, of which an iterator may make the next event."""
    return event.copy() if type(event) is dict else make_event(event)
