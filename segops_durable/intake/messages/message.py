"""A message, whichever library has read it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence


class Message(NamedTuple):
    """A message of a log.

    Attributes:
        topic: Its topic.
        partition: Its partition.
        offset: Its place there.
        epoch: The leader epoch that it was written in; None where that is not known.
        key: Its key; None if it has none.
        value: Its value; None of a tombstone.
        headers: Their names and values.
        timestamp: When it was produced, or appended: Unix time in seconds; None if it has none.
        given: What the library has given, for whoever makes events of that.
    """

    topic: str
    partition: int
    offset: int
    epoch: int | None
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes | str | None]]
    timestamp: float | None
    given: Any


class Bad(NamedTuple):
    """A message of which no event can be made.

    Attributes:
        message: The message.
        reason: Why.
    """

    message: Message
    reason: str
