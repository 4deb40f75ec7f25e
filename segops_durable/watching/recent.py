"""The last events of an outbox, and what becomes of each.

What waits is read from the disk. What leaves is seen as it leaves, since nothing is left of it on
the disk; what leaves by another way is looked for among the dead letters.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, cast

from segops_durable.api import Meaning
from segops_durable.outbox import Head
from segops_durable.page import READ_BYTES, Line, cut, shown_event

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from segops_durable.api import Sendable, Verdict
    from segops_durable.outbox import DeadLetter, Row

MOST = 200
"""Events that are listed."""

_LONGEST_WORDS = 300
_WAITING, _SENDING, _SENT, _DEAD, _GONE = "waiting", "sending", "sent", "dead", "gone"
_ON_DISK = {_WAITING, _SENDING}
_AGAIN = "SegOps refused one of those it was sent with; they are sent again, fewer at a time"


@dataclass(frozen=True)
class _Seen:
    """An event that was seen.

    Attributes:
        head: The beginning of it.
        fate: What became of it.
        words: What is said of that.
    """

    head: Head
    fate: str = _WAITING
    words: str = ""


class Recent:
    """The last events; as `api.Observer` has it, it looks on at requests. For several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._seen: dict[int, _Seen] = {}
        self._floor = 0  # what is older is not listed
        self._lines: dict[int, tuple[_Seen, Line]] = {}  # as they were last shown

    def newest_id(self) -> int:
        """The highest id that was seen; 0 if none was."""
        with self._lock:
            return max(self._seen, default=0)

    def on_disk(self) -> list[int]:
        """The ids of those that wait, as far as is known."""
        with self._lock:
            return [each for each, seen in self._seen.items() if seen.fate in _ON_DISK]

    def note_waiting(self, heads: Iterable[Head]) -> None:
        """Take events that wait on the disk."""
        with self._lock:
            for head in heads:
                self._seen.setdefault(head.id, _Seen(head))
            self._prune()

    def note_left(
        self, ids: Iterable[int], letters: Mapping[int, DeadLetter], otherwise: str
    ) -> None:
        """Take it that events are not on the disk any more.

        Args:
            ids: Which.
            letters: Those of them that are dead letters.
            otherwise: What is said of the others.
        """
        with self._lock:
            for row_id in ids:
                seen = self._seen.get(row_id)
                if seen is None or seen.fate not in _ON_DISK:
                    continue  # its request has ended meanwhile, which says more
                letter = letters.get(row_id)
                self._seen[row_id] = (
                    replace(seen, fate=_GONE, words=otherwise)
                    if letter is None
                    else replace(seen, fate=_DEAD, words=_words_of(letter))
                )

    def lines(self) -> list[Line]:
        """What is listed, newest first."""
        with self._lock:
            seen = sorted(self._seen.items(), reverse=True)[:MOST]
            self._floor = seen[-1][0] if len(seen) == MOST else 0
        before, self._lines = self._lines, {}
        for row_id, each in seen:
            known = before.get(row_id)
            line = known[1] if known is not None and known[0] is each else _line_of(each)
            self._lines[row_id] = (each, line)
        return [line for _seen, line in self._lines.values()]

    # As `api.Observer` has it

    def begin(self, batch: Sendable) -> Callable[[Verdict | None], object]:
        """See a request with events; return what sees its end."""
        rows = cast("Sequence[Row]", batch.rows)  # they are an outbox's
        size = len(rows)
        if rows[-1].id < self._floor:  # of a backlog: the sender loses no time over it
            return lambda _verdict: None
        heads = [_head_of(row) for row in rows[-MOST:]]
        with self._lock:
            for head in heads:
                self._seen[head.id] = _Seen(head, _SENDING)
            self._prune()

        def end(verdict: Verdict | None) -> None:
            fate, words = _fate_of(verdict, size)
            with self._lock:
                for head in heads:
                    if head.id in self._seen:
                        self._seen[head.id] = _Seen(head, fate, words)

        return end

    def _prune(self) -> None:
        if len(self._seen) > 2 * MOST:
            for row_id in sorted(self._seen)[:-MOST]:
                del self._seen[row_id]


def _head_of(row: Row) -> Head:
    """The beginning of an event that is in memory."""
    return Head(row.id, row.moment.wall, row.data[:READ_BYTES], len(row.data))


def _fate_of(verdict: Verdict | None, size: int) -> tuple[str, str]:
    """What became of the events of a request, and what is said of it."""
    if verdict is None:
        return _WAITING, ""
    words = cut(verdict.detail, _LONGEST_WORDS)
    if verdict.meaning is Meaning.ACCEPTED:
        if verdict.skipped == size:
            return _DEAD, f"SegOps skipped all {size} of its batch"
        if verdict.skipped:
            return _SENT, f"SegOps skipped {verdict.skipped} of its batch of {size}, unsaid which"
        return _SENT, ""
    if verdict.meaning in {Meaning.REFUSED, Meaning.TOO_LARGE}:
        return (_DEAD, words) if size == 1 else (_WAITING, _AGAIN)
    answered = "" if verdict.status is None else f"{verdict.status} "
    return _WAITING, f"tried: {answered}{words}"


def _words_of(letter: DeadLetter) -> str:
    return cut(f"{letter.cause.value}: {letter.reason}", _LONGEST_WORDS)


def _line_of(seen: _Seen) -> Line:
    head = seen.head
    event = shown_event(head.data, head.size)
    return Line(
        id=head.id,
        at=round(head.tracked_at, 3),
        user=event.user,
        kind=event.kind,
        text=event.text,
        fate=seen.fate,
        words=seen.words,
    )
