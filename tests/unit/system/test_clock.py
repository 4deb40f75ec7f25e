from __future__ import annotations

import subprocess
import sys

import pytest

from segops_durable.system.clock import PLAUSIBLE, Clock, Moment, corrected

NOW = 1_800_000_000.0


@pytest.mark.parametrize(
    ("then", "now", "expected"),
    [
        (Moment(100.0, 100.0, 1), Moment(NOW, 200.0, 1), NOW - 100),  # 1970, then set
        (Moment(NOW + 3600, 100.0, 1), Moment(NOW, 200.0, 1), NOW - 100),  # ahead, then set
        (Moment(NOW - 100, 100.0, 1), Moment(NOW, 200.0, 1), None),  # it was right
        (Moment(NOW - 100.005, 100.0, 1), Moment(NOW, 200.0, 1), None),  # as well as can be read
        (Moment(100.0, 100.0, 2), Moment(NOW, 200.0, 1), None),  # in another boot
        (Moment(100.0), Moment(NOW, 200.0, 1), None),  # it says itself when it was
        (Moment(NOW, 100.0, 1), Moment(300.0, 200.0, 1), None),  # a clock that is not set
        (Moment(NOW, 100.0, 1), Moment(PLAUSIBLE, 200.0, 1), PLAUSIBLE - 100),
    ],
)
def test_a_time_is_corrected_within_one_boot_by_a_clock_that_was_set(
    then: Moment, now: Moment, expected: float | None
) -> None:
    assert corrected(then, now) == expected


def test_the_uptime_and_the_boot_are_the_same_in_every_process() -> None:
    here = Clock().moment()
    code = "from segops_durable.system.clock import Clock; print(*Clock().moment())"
    found = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    wall, uptime, boot = found.stdout.split()
    assert int(boot) == here.boot
    assert here.uptime is not None
    assert float(wall) - here.wall == pytest.approx(float(uptime) - here.uptime, abs=0.05)
