"""What the writer is given: events to store, or something to do in between."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from segops_durable.aio.loops import Loop, Waiter
    from segops_durable.intake import Draft
    from segops_durable.outbox import Checkpoint, Entry


class Call:
    """The events of one call, stored all or none, and the task that waits for that.

    Args:
        loop: Of the task.
        draft: The events.
        checkpoint: How far the job has come that they are from; None where it is no job.

    Attributes:
        waiter: Where the task waits.
        give_up_at: When it waits for room no longer, on the monotonic clock; None before it does.
    """

    __slots__ = ("_checkpoint", "_draft", "_entry", "give_up_at", "loop", "waiter")

    def __init__(self, loop: Loop, draft: Draft, checkpoint: Checkpoint | None) -> None:
        self.loop: Loop = loop
        self.waiter: Waiter = loop.waiter()
        self.give_up_at: float | None = None
        self._draft = draft
        self._checkpoint = checkpoint
        self._entry: Entry | None = None

    def entry(self) -> Entry:
        """What is to be stored; made once.

        Raises:
            InvalidEventError: An event cannot be sent.
            StorageError: The id of the device's visitor cannot be read.
        """
        if self._entry is None:
            self._entry = self._draft.entry(self._checkpoint)
        return self._entry


class Work:
    """Something to do on the writer's thread, and the task that waits for it.

    Args:
        loop: Of the task.
        action: What to do.
    """

    __slots__ = ("action", "loop", "waiter")

    def __init__(self, loop: Loop, action: Callable[[], Any]) -> None:
        self.loop: Loop = loop
        self.waiter: Waiter = loop.waiter()
        self.action: Callable[[], Any] = action
