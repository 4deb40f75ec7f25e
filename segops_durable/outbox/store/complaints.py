"""What is said of an outbox that cannot be read or written: why, and what to do."""

from __future__ import annotations

from typing import TYPE_CHECKING

from segops_durable.errors import BusyOutboxError, ClosedError, QueueFullError, StorageError
from segops_durable.outbox.disk.files import companions, hint_for_stranger
from segops_durable.outbox.store.failures import is_full, is_locked
from segops_durable.outbox.store.gate import lock_path
from segops_durable.system.holders import holder_of

if TYPE_CHECKING:
    from pathlib import Path


def storage_error(
    path: Path,
    problem: str,
    error: Exception,
    hint: str = "Check free space, permissions and the disk",
) -> StorageError:
    """Make an error of ours of SQLite's, or the system's.

    Args:
        path: The outbox file.
        problem: What cannot be done with it: ``cannot be read``.
        error: Why.
        hint: What to do, where nothing more is known.
    """
    if is_full(error):
        return QueueFullError(
            f"the disk is full, and {path} {problem}",
            path=str(path),
            hint="Make room; what was stored before is still there",
        )
    if is_locked(error):
        return _busy_error(path, problem)
    return StorageError(
        f"the outbox {path} {problem}: {error}",
        path=str(path),
        hint=hint_for_stranger(path) or hint,
    )


def interrupted_error(path: Path) -> StorageError:
    """The error for a signal handler that calls in while its thread holds what others need."""
    return StorageError(
        f"a signal handler interrupted a use of {path}",
        path=str(path),
        hint="Let the handler set a flag, and call the client outside it",
    )


def forked_error(pid: int) -> ClosedError:
    """The error for a child that uses what its parent, process `pid`, has open."""
    return ClosedError(
        f"the client belongs to process {pid}",
        hint="The fork went past Python; make a SegOpsClient in the child",
    )


def _busy_error(path: Path, problem: str) -> BusyOutboxError:
    """Name the process that keeps everyone waiting, where the system tells."""
    holder = holder_of([lock_path(path)]) or holder_of([path, *companions(path)])
    if holder is None:
        who, hint = "another process or thread", "See what uses the file"
    else:
        who, hint = f"process {holder.pid}", "Wait for it, or end it"
    if holder is not None and holder.is_stopped:
        who, hint = f"{who}, which is stopped,", f"Let it go on (kill -CONT {holder.pid})"
    return BusyOutboxError(
        f"the outbox {path} {problem}: {who} keeps it locked",
        path=str(path),
        pid=None if holder is None else holder.pid,
        is_stopped=holder is not None and holder.is_stopped,
        hint=hint,
    )
