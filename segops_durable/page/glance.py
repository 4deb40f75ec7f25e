"""What a page shows, and whom it asks."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

Point: TypeAlias = "tuple[float, ...]"
"""A moment in Unix time, and what was so then: the values of the chart's lines, in its order."""


@dataclass(frozen=True, kw_only=True)
class Line:
    """A line of a list: an event, or a request.

    Attributes:
        id: Its number; a higher one is later. A line of the same number takes the old one's place.
        at: When it came, in Unix time.
        user: Whose it is. Defaults to nobody's.
        kind: The event's type, or the request's path.
        text: What is in it, so much as is shown.
        fate: What became of it, in a word that the page has a mark for.
        words: What is said of that, e.g. SegOps' words. Defaults to nothing.
    """

    id: int
    at: float
    kind: str
    text: str
    fate: str
    user: str = ""
    words: str = ""


@dataclass(frozen=True, kw_only=True)
class Letter:
    """A dead letter, so much of it as is shown.

    Attributes:
        id: Its number.
        at: When the event was tracked, in Unix time.
        died_at: When it was put there.
        user: Whose it is.
        kind: The event's type.
        text: What is in it.
        cause: Why, in a word.
        status: The HTTP status of the answer that refused it, if one did.
        words: Why, in a sentence.
        answer: What the server said.
    """

    id: int
    at: float
    died_at: float
    user: str
    kind: str
    text: str
    cause: str
    status: int | None
    words: str
    answer: str


@dataclass(frozen=True, kw_only=True)
class Glance:
    """How things stand at a moment.

    What names no user and no event is shown to whoever asks; `details`, `events`, `requests`,
    `letters` and `facts` are for those who have the token.

    Attributes:
        at: The moment, in Unix time.
        state: What goes on, in a word that the page has a mark for.
        sentence: The same with its reason.
        next_at: When something is tried next; None if nothing waits for a time.
        figures: Numbers, by the names that the page has for them; None for what is not known.
        points: The chart of the last hour, oldest first; what is told of a time stays so.
        live: The same of the moment. Defaults to None: nothing is known of it.
        details: What is said of the reason, e.g. the last error.
        events: The last events, newest first.
        unlisted: How many came since the last glance and are not among them. Defaults to 0.
        requests: The last requests, newest first. Defaults to none.
        letters: The newest dead letters, newest first. Defaults to none.
        epoch: Changes where all that was told before is not so any more. Defaults to 0.
        facts: What else the page knows what to do with. Defaults to nothing.
    """

    at: float
    state: str
    sentence: str
    next_at: float | None
    figures: Mapping[str, float | None]
    points: Sequence[Point]
    live: Point | None = None
    details: str = ""
    events: Sequence[Line] = ()
    unlisted: int = 0
    requests: Sequence[Line] = ()
    letters: Sequence[Letter] = ()
    epoch: int = 0
    facts: Mapping[str, Any] = field(default_factory=dict)


class View(Protocol):
    """Says how things stand. Called in worker threads, by one at a time."""

    def begin(self) -> None:
        """Hear that somebody looks now, where nobody did."""

    def look(self) -> Glance:
        """Say how things stand: once a second at most, however many look."""

    def end(self) -> None:
        """Hear that nobody looks any more."""


class Letters(Protocol):
    """Looks after dead letters. Called in worker threads."""

    def older(self, before: int, limit: int) -> Sequence[Letter]:
        """The letters with lower numbers than that, newest first."""

    def retry(self, ids: Sequence[int] | None) -> int:
        """Put letters back; None for all of which nothing was accepted. Return how many."""

    def discard(self, ids: Sequence[int]) -> int:
        """Remove letters for good; return how many."""
