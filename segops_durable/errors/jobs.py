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
