"""How long SegOps has asked to wait, as the note `retry_at` has it.

The time of day may be set meanwhile. So within one boot what is left goes by the time since the
boot. After a reboot only the time of day tells, and no more can be left than was asked for.
"""

from __future__ import annotations

import json
from typing import NamedTuple

from segops_durable.outbox.records.typed import is_time
from segops_durable.system.clock import Moment


class Order(NamedTuple):
    """What was asked for.

    Attributes:
        seconds: To wait.
        since: When it was asked for.
    """

    seconds: float
    since: Moment

    def left(self, now: Moment) -> float:
        """Seconds that are left of it; 0 if it is over."""
        then = self.since
        if then.uptime is not None and now.uptime is not None and then.boot == now.boot:
            passed = now.uptime - then.uptime
        else:
            passed = now.wall - then.wall
        return min(max(0.0, self.seconds - passed), self.seconds)


def order_as_text(order: Order) -> str:
    """The note's value."""
    # an option may say so many seconds as an int, which `order_of` takes for damage
    return json.dumps({"seconds": float(order.seconds), **order.since._asdict()})


def order_of(text: str) -> Order | None:
    """What a note says; None if that cannot be meant.

    Older versions wrote nothing but the Unix time at which the wait ends.
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
    boot = value.get("boot")
    if not (is_time(seconds) and is_time(wall) and is_time(uptime) and isinstance(boot, int)):
        return None
    return Order(seconds, Moment(wall, uptime, boot))
