"""What can stop an import, or a job with a checkpoint."""

from __future__ import annotations

from segops_durable.errors.base import SegOpsError


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


class ChangedFileError(ImportStoppedError):
    """A file is not what was imported of it, or may be another one; nothing of it was read."""


class KafkaStoppedError(SegOpsError):
    """Consuming of Kafka could not go on. What it had stored stays, and it can be run again.

    Its message begins with where that was.

    Attributes:
        topic: The topic; empty where it is about the cluster.
        partition: The partition; None where it is about all of them.
        offset: The offset at which it stopped; None where that says nothing.
    """

    def __init__(
        self,
        problem: str,
        *,
        topic: str,
        partition: int | None = None,
        offset: int | None = None,
        hint: str = "",
    ) -> None:
        place = topic or "Kafka"
        place += "" if partition is None else f" [{partition}]"
        place += "" if offset is None else f", offset {offset}"
        super().__init__(f"{place}: {problem}", hint=hint)
        self.topic = topic
        self.partition = partition
        self.offset = offset


class KafkaGapError(KafkaStoppedError):
    """What follows the last message that was stored is not there any more, or is something else.

    Messages were deleted before they were read, or the topic was deleted and made anew. It is
    raised, or with ``on_gap="skip"`` reported.

    Attributes:
        lost: How many messages were deleted unread, at most; None where nobody knows.
    """

    def __init__(
        self,
        problem: str,
        *,
        topic: str,
        partition: int | None = None,
        offset: int | None = None,
        lost: int | None = None,
        hint: str = "",
    ) -> None:
        super().__init__(problem, topic=topic, partition=partition, offset=offset, hint=hint)
        self.lost = lost
