"""What the page shows of the sandbox: what it received, and what it has been told to do wrong."""

from __future__ import annotations

import time
from collections import deque
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from segops_durable.page import READ_BYTES, Glance, Line, Point, cut, shown_event
from segops_durable.sandbox.faults import Faults

if TYPE_CHECKING:
    from collections.abc import Callable

    from segops_durable.sandbox.faults import FaultSwitch
    from segops_durable.sandbox.settings import Settings
    from segops_durable.sandbox.store import Store

_HOUR = 3600.0
_SLOT_SECONDS = 15.0
_RATE_SECONDS = 5
_MOST_EVENTS, _MOST_REQUESTS = 200, 50
_LONGEST_WORDS = 200
_NONE = Faults()


class SandboxView:
    """Says how a sandbox stands; a `page.View`. It reads what came since the last look.

    Args:
        store: What was accepted.
        faults: What goes wrong.
        settings: Says how it is set up.
    """

    def __init__(self, store: Store, faults: FaultSwitch, settings: Callable[[], Settings]) -> None:
        self._store = store
        self._faults = faults
        self._settings = settings
        self._start_anew()

    def _start_anew(self) -> None:
        self._cleared = self._store.cleared
        self._last_request = self._last_event = self._last_line = 0
        self._totals = dict.fromkeys(("requests", "events", "skipped", "refused"), 0)
        self._events: tuple[Line, ...] = ()
        self._requests: tuple[Line, ...] = ()
        self._slots: dict[int, dict[str, Any]] = {}
        self._recent: deque[tuple[float, int, int]] = deque(maxlen=_RATE_SECONDS + 1)

    # As `page.View` has it

    def begin(self) -> None:
        """Nothing is done until it looks."""

    def end(self) -> None:
        """Nothing was begun."""

    def look(self) -> Glance:
        """Say how it stands."""
        if self._cleared != self._store.cleared:
            self._start_anew()
        now = time.time()
        events_before = self._totals["events"]
        self._count()
        listed = self._read_events()
        self._read_requests()
        faults = self._faults.current
        events, requests = self._rates()
        points = self._points(now)
        return Glance(
            at=round(now, 3),
            state="well" if faults == _NONE else "faulty",
            sentence=sentence_of(faults),
            next_at=None,
            figures={**self._totals, "rate_in": events, "rate_requests": requests},
            points=points[:-1],
            live=points[-1],
            events=self._events,
            unlisted=max(0, self._totals["events"] - events_before - listed)
            if events_before
            else 0,
            requests=self._requests,
            epoch=self._cleared,
            facts={"faults": asdict(faults), "plan": self._settings().plan},
        )

    # Reading

    def _count(self) -> None:
        found = self._store.totals(self._last_request)
        self._last_request = found.pop("last_id")
        for name, count in found.items():
            self._totals[name] += count
        self._recent.append((time.monotonic(), self._totals["events"], self._totals["requests"]))

    def _rates(self) -> tuple[float, float]:
        """Events and requests a second."""
        (began, *first), (ended, *last) = self._recent[0], self._recent[-1]
        seconds = ended - began
        if not seconds:
            return 0.0, 0.0
        events, requests = ((b - a) / seconds for a, b in zip(first, last, strict=True))
        return round(events, 2), round(requests, 2)

    def _read_events(self) -> int:
        found = self._store.latest_events(self._last_event, _MOST_EVENTS, READ_BYTES)
        self._last_event = found[0]["id"] if found else self._last_event
        lines = tuple(_event_line(each) for each in found)
        self._events = (lines + self._events)[:_MOST_EVENTS]
        return len(lines)

    def _read_requests(self) -> None:
        found = self._store.latest_requests(self._last_line, _MOST_REQUESTS)
        self._last_line = found[0]["id"] if found else self._last_line
        lines = tuple(_request_line(each) for each in found)
        self._requests = (lines + self._requests)[:_MOST_REQUESTS]

    def _points(self, now: float) -> list[Point]:
        """Events and refused requests a second, of each slot of the last hour; the last is now."""
        current = int(now / _SLOT_SECONDS)
        first = current - round(_HOUR / _SLOT_SECONDS)
        found = self._store.slots(_SLOT_SECONDS, max(self._slots, default=first) * _SLOT_SECONDS)
        self._slots.update((each["slot"], each) for each in found)
        self._slots = {each: slot for each, slot in self._slots.items() if each >= first}
        began = min(self._slots, default=current)
        passed = max(1.0, now - current * _SLOT_SECONDS)
        over = (_point(each + 1, self._slots.get(each)) for each in range(began, current))
        live = _point(current, self._slots.get(current), passed)
        return [*over, (round(now, 1), *live[1:])]


def sentence_of(faults: Faults) -> str:
    """What the sandbox does to requests, in a sentence."""
    if faults == _NONE:
        return "Every request is answered as SegOps would answer it."
    done = [what for what in _doings(faults) if what]
    share = "Every request" if faults.rate == 1 else f"{faults.rate:.0%} of requests"
    if faults.times is not None:
        share += f", {faults.times:,} in all"
    return f"{share}: {', and '.join(done) or 'nothing is done'}."


def _doings(faults: Faults) -> tuple[str, ...]:
    patience = faults.retry_after
    text = patience if isinstance(patience, str) else f"{patience or 0:g} s"
    again = "" if patience is None else f", Retry-After {text}"
    return (
        f"answered {faults.delay:g} s late" if faults.delay else "",
        f"the connection is reset {faults.reset} the events are accepted" if faults.reset else "",
        "a captive portal answers" if faults.portal else "",
        f"redirected to {cut(faults.redirect, _LONGEST_WORDS)}" if faults.redirect else "",
        f"bodies of more than {faults.body_limit:,} bytes are refused (413)"
        if faults.body_limit is not None
        else "",
        f"answered {faults.status:d}{again}" if faults.status is not None else "",
    )


def _point(ended: int, slot: dict[str, Any] | None, seconds: float = _SLOT_SECONDS) -> Point:
    found = slot or {}
    rates = (found.get(name, 0) / seconds for name in ("events", "refused"))
    return (ended * _SLOT_SECONDS, *(round(each, 3) for each in rates))


def _event_line(row: dict[str, Any]) -> Line:
    event = shown_event(row["head"].encode(), None if row["size"] <= READ_BYTES else row["size"])
    return Line(
        id=row["id"],
        at=round(row["at"], 3),
        user=cut(row["user_id"], _LONGEST_WORDS),
        kind=event.kind,
        text=event.text,
        fate="received",
    )


def _request_line(row: dict[str, Any]) -> Line:
    answer, path = row["answer"], row["path"]
    return Line(
        id=row["id"],
        at=round(row["at"], 3),
        kind=answer,
        user=cut(path, _LONGEST_WORDS),
        text=f"{row['queued']:,} events taken, {row['body_bytes']:,} bytes",
        fate="taken" if answer.startswith("2") else "not taken",
        words=f"{row['skipped']:,} skipped" if row["skipped"] else "",
    )
