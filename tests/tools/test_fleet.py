"""The simulation of a fleet: what holds in it, whatever its figures are."""

from __future__ import annotations

from typing import Any

import pytest
from fleet_simulation.figures import figures_of
from fleet_simulation.scenario import Scenario, Variant
from fleet_simulation.simulation import simulate

pytestmark = [pytest.mark.long, pytest.mark.one_python]

SCENARIO = Scenario(devices=50, events=20, outage=86_400.0, limit=25, has_power=False, seed=2026)
Run = dict[str, Any]


def run(*, jitter: bool, processes: int = 1) -> Run:
    variant = Variant(batch_size=20, jitter=jitter)
    return figures_of(SCENARIO, variant, simulate(SCENARIO, variant, processes=processes))


@pytest.fixture(scope="module")
def drawn() -> Run:
    return run(jitter=True)


@pytest.fixture(scope="module")
def undrawn() -> Run:
    return run(jitter=False)


def test_every_event_is_delivered_once_under_one_body_and_nobody_comes_before_their_time(
    drawn: Run, undrawn: Run
) -> None:
    for each in (drawn, undrawn):
        assert each["problems"] == []
        assert each["calls"] - each["throttled"] == SCENARIO.devices  # of 20 events each
        assert each["throttled"] > 0
        assert 0.5 < each["used"] <= 1


def test_jitter_lowers_the_worst_second(drawn: Run, undrawn: Run) -> None:
    assert undrawn["peak_second"] >= SCENARIO.devices
    assert drawn["peak_second"] < SCENARIO.devices


def test_one_seed_gives_one_table_in_however_many_processes(drawn: Run) -> None:
    again = run(jitter=True, processes=2)
    assert {**again, "took": 0} == {**drawn, "took": 0}
