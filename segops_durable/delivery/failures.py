"""What is told where the sending itself fails, and no batch is to blame."""

from __future__ import annotations

from typing import TYPE_CHECKING

from segops_durable.errors import NoThreadError, SegOpsError, StorageError
from segops_durable.errors.redaction import without_secrets

if TYPE_CHECKING:
    from pathlib import Path


def end_of_round(error: BaseException, path: Path) -> SegOpsError:
    """What a round has ended in; what is no error of ours is shown as one.

    Args:
        error: What was raised.
        path: The outbox file.
    """
    if isinstance(error, SegOpsError):
        return error
    wrapped = StorageError(
        f"a round ended in {type(error).__name__}: {error}",
        path=str(path),
        hint="The events wait on disk; please report this",
    )
    wrapped.__cause__ = without_secrets(error)
    return wrapped


def without_thread(error: RuntimeError) -> NoThreadError:
    """What Python says where it starts no thread."""
    failure = NoThreadError(
        f"nothing is sent, as no thread can be started ({error})",
        hint="Events are stored all the same; raise the limit of threads",
    )
    failure.__cause__ = error
    return failure
