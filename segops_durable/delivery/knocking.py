"""What a process that does not send tells the one that does: there is something to send.

A knock is a hint. Where none is heard, the one that sends finds the events at the end of its
interval. If one is there that hears nothing for some seconds, as it is stopped, its place is taken.
"""

from __future__ import annotations

import logging
import time
from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING

from segops_durable.errors import StorageError

if TYPE_CHECKING:
    from collections.abc import Collection

    from segops_durable.outbox import Outbox
    from segops_durable.system.knocks import Knock

ROUND = "round"
"""Somebody waits for a round."""

FULL = "full"
"""A batch's worth of events has come."""

ROOM = "room"
"""Somebody waits for room in a full queue."""

OVER = "over"
"""Events have waited for an interval of the process that they came from."""

THERE = "there"
"""Nothing: whether anybody hears is all that is asked."""

WISHES = frozenset({FULL, ROOM, OVER})
"""All but a round at any rate: these wait for the end of a pause."""

LOOK_SECONDS = 1.0
"""Between a knock and a look whether it was heard."""

DEAF_AFTER = 5
"""Looks in a row, with a knock before each, that find it unheard, until the place is taken."""

_MOST_WANTED = 100  # where no round comes to its end there is nobody to tell

_log = logging.getLogger("segops_durable")


def knock_once(outbox: Outbox) -> None:
    """Tell the process that sends, if there is one that hears, that a batch's worth has come."""
    found = outbox.sender_lock.knock()
    if found is not None:
        found[1].send(FULL)
        found[1].close()


class Knocking:
    """Knocks at the process that sends. For the flusher's thread, but for `want`.

    Args:
        outbox: Whose sender it is.
        interval: How long an event of this process waits for others at most, in seconds.
        takes_over: Whether one that hears nothing loses its place: not where this process would
            not take it. Defaults to True.
    """

    def __init__(self, outbox: Outbox, interval: float, *, takes_over: bool = True) -> None:
        self._outbox = outbox
        self._takes_over = takes_over
        self._interval = interval
        self._wanted: deque[str] = deque(maxlen=_MOST_WANTED)
        self._address = ""
        self._knock: Knock | None = None  # that was not heard yet
        self._said: set[str] = set()  # with it
        self._unheard = 0  # looks that have found it so
        self._look_at = 0.0

    @property
    def remaining(self) -> float | None:
        """Seconds until a look whether a knock was heard; None if there is none."""
        return None if self._knock is None else max(0.0, self._look_at - time.monotonic())

    def want(self, what: str) -> None:
        """Have the process that sends hear of something, at the end of this one's round."""
        self._wanted.append(what)

    def tell(self, wishes: Collection[str] = ()) -> None:
        """Tell it all that is wanted; that somebody waits for a round is told until one is there.

        Args:
            wishes: What else this process would have liked of its round. Defaults to nothing.
        """
        wanted = {*wishes, *(self._wanted.popleft() for _ in range(len(self._wanted)))}
        self._is_heard()
        if self._knock is not None:
            if all(self._knock.send(each) for each in sorted(wanted)):
                self._said |= wanted
                return
            wanted |= self._said - {THERE}  # it is there no more: another may be by now
            self.forget()
        urgent = sorted(wanted - {OVER})
        if urgent or not wanted:
            self._begin(urgent)
        elif not self._begin([OVER], slower_than=self._interval):
            # it would send them as soon as this one, unless it is stopped
            self._begin([THERE])
        if self._knock is None and ROUND in wanted:  # whoever has the place may just have got it
            self._wanted.append(ROUND)

    def forget(self) -> None:
        """Be done with what was told: it was heard, or this is the process that sends."""
        if self._knock is not None:
            self._knock.close()
        self._knock = None
        self._said.clear()
        self._unheard = 0

    def settle(self) -> None:
        """Want nothing any more: this is the process that sends."""
        self._wanted.clear()
        self.forget()

    def look(self) -> bool:
        """Look whether it was heard; where it is not for long enough, take that one's place away.

        Returns:
            Whether it came to nobody: a round takes the place, or tells whoever has it by now.
        """
        if self._knock is None or self._look_at > time.monotonic() or self._is_heard():
            return False
        self._unheard += 1
        self._look_at = time.monotonic() + LOOK_SECONDS
        if self._unheard < DEAF_AFTER:
            if all(self._knock.send(each) for each in sorted(self._said)):
                return False
            self._want_anew()  # it is there no more
            return True
        address = self._address
        self._want_anew()
        if not self._takes_over:
            return True
        with suppress(OSError, StorageError, KeyError, TypeError, ValueError):
            pid = self._outbox.sender_lock.take_away(address)
            if pid is not None:
                _log.warning("process %d hears nothing, and is the sender no more", pid)
        return True

    def _is_heard(self) -> bool:
        """Whether a knock was heard, and is done with; what did not fit in is told once more."""
        if self._knock is None or not self._knock.is_heard():
            return False
        unsaid = sorted(self._knock.unsaid)
        self.forget()
        self._begin(unsaid)
        return True

    def _want_anew(self) -> None:
        self._wanted.extend(self._said - {THERE})
        self.forget()

    def _begin(self, said: list[str], slower_than: float = 0.0) -> bool:
        """Knock anew; say whether anybody is there."""
        found = self._outbox.sender_lock.knock(slower_than=slower_than) if said else None
        if found is None:
            return False
        self._address, knock = found
        if not all(knock.send(each) for each in said):
            knock.close()
            return False
        self._knock, self._said = knock, set(said)
        self._look_at = time.monotonic() + LOOK_SECONDS
        return True
