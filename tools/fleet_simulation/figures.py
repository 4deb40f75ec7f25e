"""What came of a variant, in figures."""

from __future__ import annotations

import math
from collections import Counter
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fleet_simulation.scenario import Scenario, Variant
    from fleet_simulation.simulation import Outcome

_MINUTE = 60.0
_POINTS = 150


def figures_of(scenario: Scenario, variant: Variant, outcome: Outcome) -> dict[str, Any]:
    """All that is shown of a variant; times are in seconds since the end of the outage."""
    segops = outcome.segops
    start = scenario.outage_ends_at
    calls, accepted = segops.seconds.total(), len(segops.accepted_at)
    done = sorted(at - start for at in segops.done_at.values())
    drained = done[-1] if done else math.nan
    return {
        "batch_size": variant.batch_size,
        "jitter": variant.jitter,
        "more": variant.more,
        "name": variant.name,
        "drained": drained,
        "calls": calls,
        "peak_second": max(segops.seconds.values(), default=0),
        "peak_minute": max(_by_minute(segops.seconds, start).values(), default=0),
        "throttled": segops.throttled,
        "throttled_share": segops.throttled / calls if calls else 0.0,
        "used": accepted / _allowed(scenario.limit, drained),
        "median_device": _quantile(done, 0.5),
        "p99_device": _quantile(done, 0.99),
        "took": outcome.seconds,
        "problems": outcome.problems,
        "curve": _curve(scenario, outcome, drained),
    }


def _allowed(limit: int, seconds: float) -> float:
    """Calls that a plan allows for in a time: a minute's worth at once, and then as others end."""
    return limit * max(1.0, math.ceil(seconds / _MINUTE))


def _by_minute(seconds: Counter[int], start: float) -> Counter[int]:
    minutes: Counter[int] = Counter()
    for second, calls in seconds.items():
        minutes[int((second - start) // _MINUTE)] += calls
    return minutes


def _quantile(values: list[float], share: float) -> float:
    """The smallest value that so large a share is not above; of sorted ones."""
    return values[max(0, math.ceil(share * len(values)) - 1)] if values else math.nan


def _curve(scenario: Scenario, outcome: Outcome, drained: float) -> dict[str, list[float]]:
    """What is drawn, by the minute or longer: what waits, and the calls in the worst second."""
    segops, start = outcome.segops, scenario.outage_ends_at
    width = max(1, math.ceil(drained / _MINUTE / _POINTS)) * _MINUTE
    count = int(drained // width) + 1
    peaks, delivered = [0] * count, [0] * count
    for second, calls in segops.seconds.items():
        place = min(count - 1, max(0, int((second - start) // width)))
        peaks[place] = max(peaks[place], calls)
    for at, events in zip(segops.accepted_at, segops.delivered, strict=True):
        delivered[min(count - 1, int((at - start) // width))] += events
    left, waiting = scenario.devices * scenario.events, []
    for each in delivered:
        waiting.append(left)
        left -= each
    minutes = [each * width / _MINUTE for each in range(count)]
    return {
        "minutes": minutes,
        "waiting": [float(each) for each in waiting],
        "peaks": [float(each) for each in peaks],
    }
