"""What all errors have in common, and those that a call raises at once."""

from __future__ import annotations

from typing import Any

from segops_durable.errors.plain_text import shown, visible
from segops_durable.errors.redaction import scrubbed


class SegOpsError(Exception):
    """The base of every error here.

    Attributes:
        hint: What to do about it; an empty string where there is nothing to add.
    """

    def __init__(self, message: str, *, hint: str = "") -> None:
        # it may quote a server, an event, a file's name, and whatever has a secret in it
        self.message: str = scrubbed(visible(message))
        self.hint: str = scrubbed(visible(hint))
        super().__init__(self.message)

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
        super().__init__(f"{field}: {problem}, got {shown(value)}", hint=hint)
        self.field = field
        self.value = value

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle with the culprit as text: it may be the very thing that cannot be pickled."""
        return (_restore, (type(self), self.args, {**self.__dict__, "value": shown(self.value)}))


class ClosedError(SegOpsError):
    """The client was used after `shutdown`, or in a child of a fork that went past Python."""


class WrongLoopError(SegOpsError, RuntimeError):
    """An `AsyncSegOpsClient` was closed in another event loop than its own, or used in none."""


class UncopyableClientError(SegOpsError, TypeError):
    """A client was pickled, copied or handed to another process; it stays as it is."""


class PendingEventsError(SegOpsError):
    """Events were still waiting, or had been refused or lost, when a flush ended.

    Attributes:
        pending: How many events still wait on disk. They will be sent later.
        dead: How many events went to the dead letters during the flush.
        lost: How many were found to be lost to a damaged disk, or gave way to new ones.
    """

    def __init__(self, *, pending: int, dead: int, lost: int = 0, hint: str | None = None) -> None:
        super().__init__(
            f"{pending} events still wait and {dead} were refused"
            + (f"; {lost} are lost" if lost else ""),
            hint=hint or "Waiting events stay on disk and are sent when SegOps can be reached",
        )
        self.pending = pending
        self.dead = dead
        self.lost = lost
