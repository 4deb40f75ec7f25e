"""How many requests a minute are to be made: a share that is known, or one that is learned.

Pure: it is told the time, and what was answered. Nobody knows how SegOps counts (a window that is
fixed or slides, a bucket), how many calls a plan has, or who else makes them. What a device can
know is how many of its own were let through in a minute in which others were not: its share. So
the first 429, where nothing says what is allowed, begins a *search*:

1. For a minute it asks for half of what was let through in the last one, and for five at least.
2. If none of that is refused, twice as much, for another minute.
3. What was let through in the minute in which some were refused is its share: 92 % of it are its
   rate from then on. Added up over a fleet, whose devices all do so, that is what the plan has.

From then on a 429 halves the rate, at once, and one with none let through since the last leaves a
quarter: there are many more devices than calls. But a backlog ends, and so no 429 has a device wait
longer than a part of the time that it has lasted so far. Half of what is missing comes back each
minute, up to one call a minute less than was refused. Then the rate grows, a little with each
request that had to wait for its turn and was not refused. In the long run as many are refused as
make up for that: with `MOST_GROWTH` one in thirty, and one in a hundred where devices have a call a
minute. And the more there were in a row, the faster it grows. In a fleet a row is soon broken;
whoever is alone by now does not take a day to find that out. While turns are left unused it grows
as well, by a call a minute in each minute: `spare` has that.

All of it was chosen by figures, of 1 to 40 devices on plans of 60 to 1,000 calls, and of 250 to
10,000 of which each has but one call in many minutes.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from segops_durable.api import noted_rate
from segops_durable.api.let_through import LetThrough
from segops_durable.api.noted_rate import DAY, LEAST, MOST, rate_of, row_of, seconds_of
from segops_durable.api.search import Search
from segops_durable.api.spare import Spare

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

FIRST_RATE = 5.0
"""Calls a minute that a search begins with at least: whoever had none may have a share."""

SHARE_USED = 0.92
"""Of the share that was found: windows do not begin together, and devices are never even."""

LEAST_FOUND = 0.5
"""Calls a minute for a device that found no room: it asks again, and not too soon."""

LONGEST_WAIT = 0.15
"""Of the time since the limit was first met: no refusal has a device wait longer for its turn, nor
asks less than `LEAST_FOUND`. A backlog ends, and whoever waits beyond that waits for nobody."""

GROWTH = 0.003
"""By which a rate grows in a minute in which requests waited for their turns."""

MOST_GROWTH = 0.02
"""By which it grows with one of them at most: who makes few calls has few refused."""

LONG_ROW = 100
"""Requests in a row, none of them refused, after which it grows twice as fast; after twice as many
it is nine times as fast, after three times as many 28 times."""

MOST_LEAP = 2.0
"""By which a rate is multiplied at one request at most."""

ANYWHERE, LATER = (0.0, 1.0), (0.7, 1.3)
"""Of the time between two turns: where one is drawn among others that are known to be as many as
there is room for, and where there are more of them than that."""

LONGEST_SPREAD = 0.1
"""Of the time between two turns: so much longer it may be, or a fleet would keep in step."""

_MINUTE = 60.0
_WINDOW_WAIT = 5.0
"""Seconds: who is told to wait so long was refused by a window, and is awaited with all others at
its end, however much later each of them was refused."""


class Rate:
    """Says when the next request may be made. Not safe for use by several threads.

    Args:
        share: Requests a minute that are allowed; None where that is not known.
        is_one_of_many: Whether others have shares, and may have been started at the same time:
            then the first turn is drawn. Defaults to False: it is at once.
        draw: Draws a number between two, by chance. Defaults to the lower one, always.
    """

    def __init__(
        self,
        share: float | None,
        *,
        is_one_of_many: bool = False,
        draw: Callable[[float, float], float] = lambda low, _high: low,
    ) -> None:
        self._share = share
        self._is_one_of_many = is_one_of_many
        self._draw = draw
        self._learned: float | None = None
        self._plateau = 0.0  # up to which a rate that was halved comes back soon
        self._row = 0  # requests that waited for their turns since one was refused
        self._was_let_through = True  # whether any was since then
        self._search: Search | None = None
        self._through = LetThrough()
        self._next = -math.inf
        self._drawn = ANYWHERE if is_one_of_many else None  # where the next turn is drawn
        self._met_at = -math.inf  # since when there is a limit that was learned
        self._refused_at = -math.inf
        self._asked = 0.0  # for how long SegOps wanted nothing when it last refused
        self._spare = Spare()

    @property
    def per_minute(self) -> float | None:
        """Requests a minute at most for now; None for no limit."""
        if self._learned is None:
            return self._share
        return min(self._learned + self._spare.per_minute, self._share or MOST)

    def turn(self, now: float) -> float:
        """When the next request has its turn."""
        if self._search is not None:
            self._go_on(self._search, now)
        elif self._drawn is None and self._learned is not None:
            self._spare.grow(now, self._next)
        rate = self.per_minute
        if rate is None:
            return now
        if self._drawn is not None:
            low, high = self._drawn
            self._drawn = None
            self._next = now + self._draw(low * _MINUTE / rate, high * _MINUTE / rate)
        if self._next > now:
            self._spare.pause()
        return max(now, self._next)

    def take(self, now: float, *, has_waited: bool) -> None:
        """Take the turn.

        Args:
            now: The time.
            has_waited: Whether a request would have been made before: a limit that keeps nothing
                back does not grow.
        """
        rate = self.per_minute
        if rate is None:
            return
        spacing = _MINUTE / rate
        if self._is_one_of_many or self._learned is not None:
            spacing *= self._draw(1.0, 1.0 + LONGEST_SPREAD)
        self._next = max(self._next, now) + spacing
        self._spare.pause()
        if has_waited and self._learned is not None and self._search is None:
            self._grow(self._learned, min(spacing / _MINUTE, 5.0))

    def let_through(self, now: float, *, is_served: bool = True) -> None:
        """Note that a request was not refused for its rate, whatever else was said of it.

        Args:
            now: The time.
            is_served: Whether SegOps is there: else what was sent waits on. Defaults to True.
        """
        self._through.note(now)
        if is_served:
            self._spare.go_on(now)
        self._was_let_through = True

    def refuse(self, now: float, made_at: float, wait: float) -> None:
        """Note a 429.

        Args:
            now: The time.
            made_at: When that request had its turn: of several that were on their way when one
                was refused, one counts.
            wait: Seconds that SegOps asks to wait; 0 if it asks for none.
        """
        if made_at <= self._refused_at:
            return
        self._refused_at = now
        self._asked = wait
        rate = self.per_minute
        if self._learned is None:
            self._met_at = now
        if rate is None:
            self._learned = max(self._through.since(now - _MINUTE) / 2, FIRST_RATE)
            self._search = Search()
            self._drawn = ANYWHERE if wait >= _WINDOW_WAIT else self._drawn
        elif self._search is None:
            # or all whom one window has refused would go on in step
            self._drawn = ANYWHERE if self._halve(rate, now) >= 1 else LATER
        elif self._search.refused_at is None:
            self._search.refused_at = now
        self._row = 0
        self._was_let_through = False
        self._spare.end()

    def _halve(self, rate: float, now: float) -> float:
        """Make a rate less that was refused; return what it was, or all that was known of it."""
        if self._learned is not None and self._spare.per_minute > self._learned:
            # most of it was never tried: what was learned holds again, or what is let through now
            found = SHARE_USED * self._through.since(now - _MINUTE)
            self._learned = min(max(self._learned, found), rate / 2)
            return self._learned
        self._plateau = rate - 1.0
        least = max(LEAST, min(rate, LEAST_FOUND, _MINUTE / self._longest_wait(now)))
        self._learned = max(rate / (2 if self._was_let_through else 4), least)
        return rate

    def _longest_wait(self, now: float) -> float:
        return max(LONGEST_WAIT * (now - self._met_at), _MINUTE)

    def _go_on(self, search: Search, now: float) -> None:
        """See what a search has found so far; at the next turn, so after what SegOps ordered."""
        if search.began is None:
            search.began = search.since = now
        if search.refused_at is not None:
            if search.is_over(now, self._asked):
                self._settle_for(search.found(self._through, now, self._asked))
        elif now - search.since >= _MINUTE and self._learned is not None:
            if self._through.since(search.since) >= self._learned / 2:  # or it kept nothing back
                self._learned = min(self._learned * 2, MOST)
            search.since = now

    def _settle_for(self, found: int) -> None:
        self._search = None
        self._plateau = 0.0
        self._row = 0
        self._learned = max(SHARE_USED * found, LEAST_FOUND)
        self._drawn = ANYWHERE

    def _grow(self, rate: float, minutes: float) -> None:
        if rate < self._plateau:
            rate = self._plateau - (self._plateau - rate) * 0.5**minutes
        self._row += 1
        growth = min(GROWTH / rate, MOST_GROWTH) * (1 + (self._row / LONG_ROW) ** 3)
        rate = min(rate * min(1 + growth, MOST_LEAP), MOST)
        is_whole = self._share is not None and rate >= self._share
        self._learned = None if is_whole else rate

    # What goes on in the next process

    def kept(self, now: float) -> dict[str, Any] | None:
        """What the next process goes on with; None if there is no limit."""
        if self.per_minute is None:
            return None
        search = self._search
        return {
            "wait": max(0.0, self._next - now) if math.isfinite(self._next) else 0.0,
            "per_minute": self._learned,
            "plateau": self._plateau,
            "row": self._row,
            "spare": self._spare.noted,
            "met": min(now - self._met_at, DAY),
            "search": None
            if search is None
            else {
                "found": search.found(self._through, now, self._asked),
                "is_over": search.refused_at is not None,
            },
        }

    def go_on_from(self, kept: Mapping[str, Any], now: float) -> None:
        """Go on from what another process has kept; what cannot be meant is passed over.

        Args:
            kept: What `kept` has said; `wait` is what is left of it, and `unused` are the seconds
                since that was over. `is_after_power_cut`, if all who share the limit may have been
                started at once: then the turn is drawn, and what was learned holds.
            now: The time.
        """
        learned = rate_of(kept.get("per_minute"))
        if learned is not None and (self._share is None or learned < self._share):
            self._learned = learned
            self._plateau = rate_of(kept.get("plateau")) or 0.0
            self._row = row_of(kept.get("row"))
            self._met_at = now - seconds_of(kept.get("met"))
            self._search = None
            spare = noted_rate.spare_of(kept)
            if spare is not None:
                self._spare.begin(now, spare)
            found = kept.get("search")
            if isinstance(found, dict) and self._share is None:
                if found.get("is_over") is True:
                    count = found.get("found")
                    self._settle_for(count if isinstance(count, int) else 0)
                    return
                self._search = Search()
        rate, wait = self.per_minute, kept.get("wait")
        if rate is not None and isinstance(wait, float | int):
            is_one_of_many = self._is_one_of_many or self._learned is not None
            is_drawn = is_one_of_many and kept.get("is_after_power_cut") is True
            self._drawn = ANYWHERE if is_drawn else None
            longest = (1 + LONGEST_SPREAD) * _MINUTE / rate
            self._next = max(self._next, now + min(max(wait, 0.0), longest))
