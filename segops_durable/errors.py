"""Every error that this package raises or reports.

    SegOpsError
    ├── ConfigurationError (ValueError)     a wrong option, refused at construction
    ├── InvalidEventError (ValueError)      an event that cannot be sent as it is
    ├── StorageError                        the outbox could not be read or written
    │   ├── QueueFullError                  no room: a cap that you set, or a full disk
    │   ├── DamagedOutboxError              reported: the file was damaged, and is replaced
    │   └── ReplacedOutboxError             reported: the file vanished, or another took its place
    ├── ClosedError                         the client was used after shutdown
    ├── CheckpointConflictError             two processes do the same job; nothing was stored
    ├── ImportStoppedError                  an import met too many bad lines, or a changed file
    ├── PendingEventsError                  raised by FlushResult.raise_for_pending()
    ├── DroppedEventsError                  reported: the oldest events gave way to new ones
    └── DeliveryError                       reported to on_error, never raised by track()
        ├── UnreachableError                no connection, a timeout, or a 5xx
        ├── NotSegOpsError                  something else answered: a captive portal, a proxy
        ├── RateLimitedError                SegOps asks for patience (408, 425, 429)
        ├── CredentialsError                the key was not accepted (401, 403)
        ├── WrongAddressError               SegOps has no such resource (404, 405, 410)
        ├── RefusedError                    SegOps refused a batch (400, 413, 422)
        ├── SkippedEventsError              SegOps accepted a batch but skipped events in it
        ├── DamagedEventError               stored bytes no longer match their checksum
        └── IdentityError                   no session for the user that an event belongs to

Each carries its data as attributes, and `hint`: what to do about it, in a sentence.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime


class SegOpsError(Exception):
    """The base of every error here.

    Attributes:
        hint: What to do about it; an empty string where there is nothing to add.
    """

    def __init__(self, message: str, *, hint: str = "") -> None:
        self.message = message
        self.hint = hint
        super().__init__(message)

    def __str__(self) -> str:
        return f"{self.message.rstrip('.')}. {self.hint}" if self.hint else self.message

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle by state, so that keyword-only data survives a process boundary."""
        return (_restore, (type(self), self.args, self.__dict__))


def _restore(kind: type[SegOpsError], args: tuple[Any, ...], state: dict[str, Any]) -> SegOpsError:
    error = kind.__new__(kind)
    error.args = args
    error.__dict__.update(state)
    return error


class ConfigurationError(SegOpsError, ValueError):
    """An option that cannot work, refused before anything is opened.

    Attributes:
        field: The option's name.
    """

    def __init__(self, message: str, *, field: str, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.field = field


class InvalidEventError(SegOpsError, ValueError):
    """An event that cannot be sent as it is. Nothing was stored.

    Attributes:
        field: Where the culprit is, e.g. ``payload.items[3].price``.
        value: The culprit itself.
    """

    def __init__(self, field: str, problem: str, value: object, *, hint: str = "") -> None:
        super().__init__(f"{field}: {problem}, got {_short(value)}", hint=hint)
        self.field = field
        self.value = value

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle with the culprit as text: it may be the very thing that cannot be pickled."""
        return (_restore, (type(self), self.args, {**self.__dict__, "value": _short(self.value)}))


def _short(value: object, limit: int = 80) -> str:
    try:
        text = repr(value)
    except Exception:  # noqa: BLE001 - a broken __repr__ must not hide the real complaint
        text = f"<{type(value).__name__}>"
    return text if len(text) <= limit else f"{text[: limit - 1]}…"


class StorageError(SegOpsError):
    """The outbox could not be read or written.

    After a failed `track` the event's fate is *unknown*, not *lost*: a disk may fail to
    confirm a write that it has made, and then the event is sent after all.

    Attributes:
        path: The outbox file.
    """

    def __init__(self, message: str, *, path: str, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.path = path


class QueueFullError(StorageError):
    """There is no room for the event, which was not stored; what was stored before is there."""


class DamagedOutboxError(StorageError):
    """The outbox file was damaged; it was set aside, and what can be read of it was saved.

    Attributes:
        path: The damaged file, under its new name.
        saved: Waiting events that were saved.
        lost: Waiting events that could not be read; None where nothing says how many waited.
    """

    def __init__(
        self, message: str, *, path: str, saved: int, lost: int | None, hint: str = ""
    ) -> None:
        super().__init__(message, path=path, hint=hint)
        self.saved = saved
        self.lost = lost


class ReplacedOutboxError(StorageError):
    """The outbox file was deleted, moved or replaced while it was open."""


class DroppedEventsError(SegOpsError):
    """The outbox was full, and the oldest events gave way, as the option `overflow` says.

    Attributes:
        dropped: How many, since this was last reported.
    """

    def __init__(self, message: str, *, dropped: int, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.dropped = dropped


class ClosedError(SegOpsError):
    """The client was used after `shutdown`, or in a child of a fork that went past Python."""


class CheckpointConflictError(SegOpsError):
    """Another process has moved the checkpoint of the same job; nothing was stored."""


class ImportStoppedError(SegOpsError):
    """An import could not go on. What it had stored before stays, and it can be run again.

    Attributes:
        file: The file's name.
        line: The line at which it stopped; None where that says nothing.
    """

    def __init__(self, message: str, *, file: str, line: int | None = None, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.file = file
        self.line = line


class PendingEventsError(SegOpsError):
    """Events were still waiting, or had been refused, when a flush ended.

    Attributes:
        pending: How many events still wait on disk. They will be sent later.
        dead: How many events went to the dead letters during the flush.
    """

    def __init__(self, *, pending: int, dead: int) -> None:
        super().__init__(
            f"{pending} events still wait and {dead} were refused",
            hint="Waiting events stay on disk and are sent when SegOps can be reached",
        )
        self.pending = pending
        self.dead = dead


class DeliveryError(SegOpsError):
    """A batch was not delivered as it should have been; its events are still on disk.

    Attributes:
        batch_size: How many events the batch held.
        attempts: How many requests this round made for it.
        status: The HTTP status, or None where there was no answer.
        retry_at: When it is tried again by itself, UTC; None where it is not.
        events: The events as they were sent, for an error that is about them; else empty.
    """

    def __init__(
        self,
        message: str,
        *,
        batch_size: int = 0,
        attempts: int = 0,
        status: int | None = None,
        retry_at: datetime | None = None,
        events: Sequence[dict[str, Any]] = (),
        hint: str = "",
    ) -> None:
        super().__init__(message, hint=hint)
        self.batch_size = batch_size
        self.attempts = attempts
        self.status = status
        self.retry_at = retry_at
        self.events = tuple(events)


class UnreachableError(DeliveryError):
    """SegOps could not be reached, or is in trouble itself."""


class NotSegOpsError(DeliveryError):
    """Something answered, but not SegOps: a captive portal, a proxy, a maintenance page."""


class RateLimitedError(DeliveryError):
    """SegOps asks for patience; `retry_at` says until when."""


class CredentialsError(DeliveryError):
    """The API key was not accepted."""


class WrongAddressError(DeliveryError):
    """SegOps has no ingestion at this `api_url`."""


class RefusedError(DeliveryError):
    """SegOps refused an event as invalid or too large; it went to the dead letters.

    Reported for the event itself: a refused batch is halved until the culprit is alone.
    """


class SkippedEventsError(DeliveryError):
    """SegOps accepted the batch, but threw events of it away for failing validation.

    The whole batch, which `events` has, is kept in the dead letters.

    Attributes:
        skipped: How many; SegOps does not say which.
    """

    skipped: int = 0


class DamagedEventError(DeliveryError):
    """Stored events no longer match their checksums; they went to the dead letters unsent."""


class IdentityError(DeliveryError):
    """There is no session for the user that these events were tracked for; they wait.

    Or `get_user` failed while an event was tracked: that is sent as whoever is current then.

    Attributes:
        identity: The user id, or a visitor's anonymous id; empty where nobody could say it.
    """

    identity: str = ""
