"""One device: a real outbox with a backlog, and the real delivery of it, by a moved clock."""

from __future__ import annotations

import random
import shutil
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

import requests

from fleet_simulation.loop import BOOT, BOOT_BEFORE, EPOCH, Loop, MovedClock, Turn
from fleet_simulation.wire import Request, Wire
from segops_durable.client.options import Options
from segops_durable.client.wiring import delivery_of, intake_of, open_outbox
from segops_durable.events import Event
from segops_durable.outbox.store.reserve import RESERVE_BYTES, reserve_path
from segops_durable.system.private_files import make_private

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from fleet_simulation.scenario import Scenario, Variant

_URL = "http://127.0.0.1:9"
"""Nobody is asked there: the session's adapter answers. Of this machine, so that there is no proxy,
and no name to look up."""


def options_of(variant: Variant, **of_device: Any) -> Options:  # noqa: ANN401 - as `Options` has them
    """The options of a client.

    Args:
        variant: How it is set up.
        of_device: What one device has to itself.

    Raises:
        TypeError: There is no such option.
        ConfigurationError: One has a wrong value.
    """
    return Options(
        api_url=_URL,
        api_key="sk_fleet",
        durability="normal",  # nobody cuts the power here
        on_error=lambda _error: None,
        **of_device,
        **variant.options,
    )


class Device:
    """One device; `turn` is its course.

    Args:
        number: Which one.
        loop: Whose turn it is.
        home: A directory for its files, which is made, and removed in the end.
        scenario: What has happened.
        variant: How its client is set up.
        send_off: Called with each request.

    Attributes:
        turn: Its course, which begins with the last minutes of the outage.
        left: Events that are not delivered; those of the outage until it has ended.
    """

    def __init__(
        self,
        number: int,
        loop: Loop,
        home: Path,
        *,
        scenario: Scenario,
        variant: Variant,
        send_off: Callable[[Request, Turn], None],
    ) -> None:
        self._home = home
        self._scenario = scenario
        chance = random.Random(f"{scenario.seed}-{number}")  # noqa: S311 - it can be repeated
        ways = random.Random(f"{scenario.seed}-{number}-wire")  # noqa: S311 - as above
        clock = MovedClock(loop, chance, draws=variant.jitter, before_wait=self._look_whether_over)
        self._wire = Wire(
            number,
            loop,
            lambda: self.turn,
            chance=ways,
            outage_ends_at=scenario.outage_ends_at,
            send_off=send_off,
        )
        self._session = requests.Session()
        self._session.trust_env = False
        self._session.adapters.clear()
        self._session.mount("http://", self._wire)
        home.mkdir(mode=0o700)
        path = home / "outbox.db"
        _make_reserve(path)
        options = options_of(variant, queue_path=path, http_session=self._session)
        self._outbox = open_outbox(options, path, clock)
        self._delivery = delivery_of(options, self._outbox, None, clock)
        self._delivery.sender.place.on_knock = None  # no thread is to hear who never knocks
        self._intake = intake_of(options, self._outbox, None, clock)
        if not scenario.has_power:
            clock.boot, clock.behind = BOOT_BEFORE, 1.0
        self.left: int = self._store(number)
        clock.boot, clock.behind = BOOT, 0.0
        self.turn: Turn = loop.begin(number, self._live, scenario.begins_at(chance))

    def _store(self, number: int) -> int:
        """Store what was tracked in the outage."""
        count = self._scenario.events
        gap = timedelta(seconds=self._scenario.outage / count)
        end = datetime.fromtimestamp(EPOCH + self._scenario.outage_ends_at, timezone.utc)
        events = [
            Event(
                f"user-{number}",
                "page_viewed",
                occurred_at=end - gap * (count - each),
                payload={"number": each, "page": "/menu/drinks", "screen": "kiosk"},
            )
            for each in range(count)
        ]
        return self._intake.store(events, self._delivery)

    def _live(self) -> None:
        """Run the flusher until all is delivered."""
        self._delivery.flusher.begin()
        self._delivery.flusher.run()
        counts = self._outbox.waiting.counts()
        self.left = counts.pending + counts.dead
        self.close()

    def _look_whether_over(self) -> None:
        if self._wire.accepted >= self.left and not self._outbox.waiting.counts().pending:
            self._delivery.flusher.stop(0)

    def close(self) -> None:
        """Close what is open, and remove the files. Safe to call twice."""
        self._outbox.sender_lock.release()
        self._outbox.close()
        self._delivery.close()
        self._session.close()
        shutil.rmtree(self._home, ignore_errors=True)


def _make_reserve(path: Path) -> None:
    """Make a reserve that takes no room: nobody fills this disk, and 10,000 would take 10 GB."""
    with open(make_private(reserve_path(path), like=path.parent), "wb") as file:  # noqa: PTH123 - a descriptor is opened
        file.truncate(RESERVE_BYTES)
