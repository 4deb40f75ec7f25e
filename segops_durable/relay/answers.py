"""Answers, in SegOps' own shapes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.responses import JSONResponse

from segops_durable.errors import BusyOutboxError, ClosedError, InvalidEventError, QueueFullError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from segops_durable.errors import SegOpsError

_SECONDS_WHEN_FULL, _SECONDS_WHEN_BUSY = 30, 1


class RefusedError(Exception):
    """A request is not served.

    Attributes:
        answer: What is answered.
    """

    def __init__(
        self, status: int, content: Mapping[str, object], headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(f"{status} {content}")
        self.answer: JSONResponse = JSONResponse(dict(content), status, dict(headers or {}))


def detail(status: int, text: str, headers: Mapping[str, str] | None = None) -> RefusedError:
    """The refusal with a sentence in it."""
    return RefusedError(status, {"detail": text}, headers)


def bad_event(error: InvalidEventError, number: int | None = None) -> RefusedError:
    """The refusal of an event, or of a batch for one of its events, counted from 0."""
    place = "" if number is None else f"events[{number}]."
    if error.field == "event":
        return detail(400, f"{place.removesuffix('.')} {error}".strip())
    problem = error.message.removeprefix(f"{error.field}: ")
    return RefusedError(400, {f"{place}{error.field}": [problem]})


def not_stored(error: SegOpsError) -> RefusedError:
    """The refusal of events that could not be stored, or of which nobody knows whether they were.

    503, and not 429: those official SDKs that try anything again try a 5xx, and no other.
    """
    if isinstance(error, QueueFullError):
        return detail(503, "The queue is full.", {"Retry-After": str(_SECONDS_WHEN_FULL)})
    words = "The relay is shutting down." if isinstance(error, ClosedError) else str(error)
    is_busy = isinstance(error, BusyOutboxError | ClosedError)
    seconds = _SECONDS_WHEN_BUSY if is_busy else _SECONDS_WHEN_FULL
    return detail(503, words, {"Retry-After": str(seconds)})
