"""What can go wrong with the outbox on its disk."""

from __future__ import annotations

from segops_durable.errors.base import SegOpsError


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


class BusyOutboxError(StorageError):
    """Another process, or thread, has kept the outbox locked for too long; nothing was stored.

    Attributes:
        pid: The process, where the system tells; else None.
        is_stopped: Whether it is known to be stopped: by SIGSTOP, or by a debugger.
    """

    def __init__(
        self, message: str, *, path: str, pid: int | None, is_stopped: bool, hint: str = ""
    ) -> None:
        super().__init__(message, path=path, hint=hint)
        self.pid = pid
        self.is_stopped = is_stopped


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


class MendedOutboxError(StorageError):
    """A record of the outbox was not what was written; it was mended in its place.

    Attributes:
        lost: Waiting events that turned out not to be there any more.
    """

    def __init__(self, message: str, *, path: str, lost: int = 0, hint: str = "") -> None:
        super().__init__(message, path=path, hint=hint)
        self.lost = lost


class DamagedCheckpointError(StorageError):
    """How far a job has come is not what was written. Nothing was stored.

    To begin anew would store all of the job's events once more.

    Attributes:
        job: The job's name, as it was asked for.
    """

    def __init__(self, message: str, *, path: str, job: str, hint: str = "") -> None:
        super().__init__(message, path=path, hint=hint)
        self.job = job


class ReplacedOutboxError(StorageError):
    """The outbox file was deleted, moved or replaced while it was open."""


class CopiedOutboxError(StorageError):
    """The outbox file is a copy, by a disk image or a backup; it got an identity of its own.

    New batches have other keys than the original's. What was in flight keeps its key, and
    what waited in both may be sent by both.

    Attributes:
        path: The outbox file.
        waiting: Events that waited in it when that was noticed.
        is_from_another_machine: Whether it was copied from another machine; then visitors
            have a new anonymous id, too.
    """

    def __init__(
        self,
        message: str,
        *,
        path: str,
        waiting: int,
        is_from_another_machine: bool,
        hint: str = "",
    ) -> None:
        super().__init__(message, path=path, hint=hint)
        self.waiting = waiting
        self.is_from_another_machine = is_from_another_machine


class StrandedEventsError(StorageError):
    """Events wait in another default outbox, and no client sends them.

    They were tracked under another `api_url` or key, or while the default directory was
    another. ``segops-durable adopt`` moves them.

    Attributes:
        path: That outbox.
        api_url: Whose events they are; empty where it does not say.
        waiting: How many; 0 where it cannot be read.
    """

    def __init__(
        self, message: str, *, path: str, api_url: str, waiting: int, hint: str = ""
    ) -> None:
        super().__init__(message, path=path, hint=hint)
        self.api_url = api_url
        self.waiting = waiting


class DroppedEventsError(SegOpsError):
    """The outbox was full, and the oldest events gave way, as the option `overflow` says.

    Attributes:
        dropped: How many, since this was last reported.
    """

    def __init__(self, message: str, *, dropped: int, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.dropped = dropped


class ExpiredEventsError(SegOpsError):
    """Events waited longer than the option `max_age` says; they went to the dead letters, unsent.

    Attributes:
        expired: How many, since this was last reported.
    """

    def __init__(self, message: str, *, expired: int, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.expired = expired
