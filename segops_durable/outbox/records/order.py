"""How long SegOps has asked to wait, and what is drawn beyond it, as the note `retry_at` has it.

The time of day may be set meanwhile. So within one boot what is left goes by the time since the
boot. After a reboot only the time of day tells, and no more can be left than there was.
"""

from __future__ import annotations

import json
from typing import NamedTuple

from segops_durable.outbox.records.typed import is_time
from segops_durable.system.clock import Moment


class Left(NamedTuple):
    """What is left of an order.

    Attributes:
        seconds: Of what was asked for; 0 if that is over.
        later: Of what was drawn beyond it; None where nothing was.
    """

    seconds: float
    later: float | None


class Order(NamedTuple):
    """What was asked for.

    Attributes:
        seconds: To wait.
        since: When it was asked for.
        later: Seconds that were drawn to be waited beyond it, so that devices which are started
            together do not come together; None where nothing was drawn yet.
    """

    seconds: float
    since: Moment
    later: float | None = None

    def passed(self, now: Moment) -> float:
        """Seconds since it was asked for; less than 0 where the time of day was set back."""
        then = self.since
        if then.uptime is not None and now.uptime is not None and then.boot == now.boot:
            return now.uptime - then.uptime
        return now.wall - then.wall

    def left(self, now: Moment) -> Left:
        """What is left of it."""
        passed = self.passed(now)
        seconds = min(max(0.0, self.seconds - passed), self.seconds)
        if self.later is None:
            return Left(seconds, None)
        more = min(max(0.0, self.seconds + self.later - passed), self.seconds + self.later)
        return Left(seconds, more - seconds)


def order_as_text(order: Order) -> str:
    """The note's value."""
    # an option may say so many seconds as an int, which `order_of` takes for damage
    fields = {"seconds": float(order.seconds), **order.since._asdict()}
    return json.dumps(fields if order.later is None else {**fields, "later": order.later})


def order_of(text: str) -> Order | None:
    """What a note says; None if that cannot be meant.

    Older versions drew nothing, and the first ones wrote the Unix time at which the wait ends.
    """
    try:
        value = json.loads(text)
    except ValueError:
        return None
    if is_time(value):
        return Order(value, Moment(0.0))  # so many seconds after 1970
    if not isinstance(value, dict):
        return None
    seconds, wall, uptime = (value.get(name) for name in ("seconds", "wall", "uptime"))
    boot, later = value.get("boot"), value.get("later")
    if not (is_time(seconds) and is_time(wall) and is_time(uptime) and isinstance(boot, int)):
        return None
    if later is not None and not is_time(later):
        return None
    return Order(seconds, Moment(wall, uptime, boot), later)
