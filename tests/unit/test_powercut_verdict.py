"""What the power-cut tool says of its cuts: each thing that must not be fails it."""

from __future__ import annotations

from dataclasses import replace

import pytest
from proof.powercut import Result, verdict

pytestmark = pytest.mark.one_python

WELL = Result(cuts=900, most_resent=20)
HARM = Result(cuts=900, lossy=7)


def test_a_run_that_lost_nothing_where_cuts_do_harm_is_well() -> None:
    line, status = verdict(WELL, HARM, ", seed 7")
    assert line.startswith("VERDICT: ok. 900 power cuts with durability full, seed 7: 0 lost")
    assert status == 0


@pytest.mark.parametrize(
    ("full", "off"),
    [
        (replace(WELL, lossy=1), HARM),
        (replace(WELL, damaged=1), HARM),
        (replace(WELL, most_resent=21), HARM),
        (WELL, WELL),
    ],
)
def test_a_loss_a_damage_or_cuts_that_do_no_harm_fail_it(full: Result, off: Result) -> None:
    line, status = verdict(full, off)
    assert (line.startswith("VERDICT: FAILED."), status) == (True, 1)
