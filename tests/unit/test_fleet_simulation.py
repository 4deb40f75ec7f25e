"""The parts of the simulation of a fleet that tell whether it went as it has to."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from fleet_simulation import report
from fleet_simulation.loop import Loop
from fleet_simulation.main import main
from fleet_simulation.options import parse, scenario_of, variants_of
from fleet_simulation.scenario import Scenario
from fleet_simulation.segops import SegOps
from fleet_simulation.wire import Request

if TYPE_CHECKING:
    from collections.abc import Callable

SCENARIO = Scenario(devices=2, events=2, outage=3600.0, limit=2, has_power=False)


def request(at: float, events: tuple[int, ...] = (0, 1), **fields: Any) -> Request:
    chosen = {"device": 0, "sent_at": at, "key": f"at {at}", "digest": b"-", **fields}
    return Request(at=at, back=0.1, events=events, **chosen)


def test_the_moved_clock_goes_from_wait_to_wait_in_the_order_of_their_times() -> None:
    loop, seen = Loop(), []

    def wait(name: str, *seconds: float) -> Callable[[], None]:
        def course() -> None:
            for each in seconds:
                loop.sleep(each)
                seen.append((name, loop.now))

        return course

    loop.begin(1, wait("second", 2.0, 2.0), at=0.0)
    loop.begin(0, wait("first", 1.0, 1.0, 1.0), at=0.0)
    loop.run(4.0)
    assert seen == [("first", 1), ("first", 2), ("second", 2), ("first", 3)]
    assert (loop.now, loop.next_at) == (3.0, 4.0)


def test_the_moved_clock_never_goes_back() -> None:
    loop = Loop()
    turn = loop.begin(0, lambda: loop.sleep(5.0), at=0.0)
    loop.run(10.0)
    with pytest.raises(ValueError, match="it cannot go back"):
        loop.wake(turn, loop.now - 1.0)


def test_a_plan_lets_so_many_calls_through_in_any_minute_and_says_when_to_come_again() -> None:
    segops = SegOps(SCENARIO)
    first, second, third = (segops.serve(request(at, ())) for at in (0.0, 1.0, 2.0))
    assert [each.status for each in (first, second, third)] == [202, 202, 429]
    assert third.retry_after == 58
    assert segops.serve(request(60.1, ())).status == 202


@pytest.mark.parametrize(
    ("requests", "problem"),
    [
        ([request(0.0), request(5.0)], "an event came again: 2"),
        ([request(0.0, key="one"), request(1.0, (2,), key="one", digest=b"+")], "two bodies: 1"),
        ([request(5.0), request(4.0, (2,))], "the clock went back: 1"),
        ([request(0.0, (0,))], "an event is missing: 3"),
        (
            [request(at, (), device=1) for at in (0.0, 1.0, 2.0, 3.0)],
            "a request before its Retry-After was over: 1",
        ),
    ],
)
def test_what_must_not_be_is_found(requests: list[Request], problem: str) -> None:
    segops = SegOps(SCENARIO)
    for each in requests:
        segops.serve(each)
    assert any(problem in each for each in segops.problems(4, 0))


def test_an_event_that_a_device_still_has_is_found() -> None:
    assert "an event is left on a device: 3" in SegOps(SCENARIO).problems(0, 3)


def test_a_part_of_a_fleet_has_the_same_part_of_its_plan() -> None:
    options = parse(["--quick", "--outage", "90m", "--events-per-hour", "4", "--plan", "1000"])
    found = scenario_of(options)
    assert (found.devices, found.limit, found.events, found.outage) == (250, 25, 6, 5400.0)


def test_each_size_of_a_batch_is_tried_with_and_without_jitter_and_one_that_grows() -> None:
    found = variants_of(parse(["--option", "max_requests_per_minute=3"]))
    assert [(each.batch_size, each.jitter) for each in found] == [
        (20, False),
        (20, True),
        (500, False),
        (500, True),
        (20, True),
    ]
    assert found[0].options == {"batch_size": 20, "max_requests_per_minute": 3}
    assert found[-1].options == {**found[0].options, "catch_up_batch_size": 500}


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("--devices", "0"),
        ("--outage", "a day"),
        ("--outage", "0h"),
        ("--plan", "gold"),
        ("--plan", "-5"),
        ("--batch-size", "501"),
        ("--events-per-hour", "nan"),
        ("--events-per-hour", "0"),
        ("--option", "batch_size"),
    ],
)
def test_a_mistake_is_named_with_its_value(
    option: str, value: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        parse([option, value])
    told = capsys.readouterr().err
    assert option in told
    assert repr(value.rpartition("=")[2]) in told or "''" in told


@pytest.mark.parametrize("option", ["batch_sise=3", "max_in_flight=2"])
def test_an_option_that_no_client_can_have_is_told_of_before_a_fleet_is_made(option: str) -> None:
    with pytest.raises(SystemExit, match=option.partition("=")[0]):
        main(["--option", option])


def test_the_table_of_the_readme_is_that_of_the_kept_figures() -> None:
    document = json.loads(report.JSON.read_text(encoding="utf-8"))
    assert report.markdown(document) in report.README.read_text(encoding="utf-8")
    assert report.verdict(document)[1] == 0
