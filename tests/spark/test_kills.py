"""Executors and drivers that are killed: what was sent is not lost, and repeated as it was.

Where a driver was killed, that of the tests' own session goes on: to start a JVM takes long.
"""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from support.spark_job import carry_out
from support.spark_runs import descendants, keys_by_event, kill_all_of, numbers

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable

    from pyspark.sql import SparkSession

    from segops_durable.sandbox import Sandbox

ROWS = 1000
LANES = 2
PATIENCE = 600.0
BOTH_AT_ONCE = {
    "spark.cores.max": str(LANES),
    "spark.scheduler.minRegisteredResourcesRatio": "1.0",
    "spark.scheduler.maxRegisteredResourcesWaitingTime": f"{PATIENCE:.0f}s",
}
"""No task begins before each executor is there: so that each has a lane when it is killed."""
pytestmark = [pytest.mark.long, pytest.mark.timeout(3 * PATIENCE)]


def executors(driver: subprocess.Popen[str]) -> list[int]:
    """The JVMs of a driver's executors."""
    found = []
    for pid in descendants(driver.pid):
        try:
            command = Path(f"/proc/{pid}/cmdline").read_bytes()
        except OSError:
            continue
        if b"CoarseGrainedExecutorBackend" in command and b"java" in command.split(b"\0")[0]:
            found.append(pid)
    return found


def reached(sandbox: Sandbox, requests: int, driver: subprocess.Popen[str]) -> Callable[[], bool]:
    """Whether so many requests have come, of a driver that has not ended before."""

    def has_reached() -> bool:
        assert driver.poll() is None
        return len(sandbox.requests()) >= requests

    return has_reached


def repeats(sandbox: Sandbox) -> int:
    """Keys under which more than one request has come."""
    return int(sandbox.summary()["repeated_keys"])


def check(sandbox: Sandbox, capsys: pytest.CaptureFixture[str], what: str, kills: int) -> None:
    """Nothing is lost, and all that was repeated came under the key that it had."""
    summary = sandbox.summary()
    assert numbers(sandbox) == list(range(ROWS))
    assert summary["conflicting_keys"] == 0
    assert {len(keys) for keys in keys_by_event(sandbox).values()} == {1}
    with capsys.disabled():
        print(f"\n{what}, {kills} kills: {summary}")  # noqa: T201 - the figures that it is run for


@pytest.fixture
def job(parquet: Path, options: dict[str, str], sandbox: Sandbox) -> dict[str, Any]:
    sandbox.faults(delay=0.1)  # so that a kill meets a request
    more = {**options, "batch_size": "20", "job": "the job"}
    return {"source": str(parquet), "options": more}


def test_executors_and_then_the_driver_that_are_killed_repeat_one_request_a_lane_each_at_most(
    spark: SparkSession,
    job: dict[str, Any],
    sandbox: Sandbox,
    scratch: Path,
    start_driver: Callable[..., subprocess.Popen[str]],
    wait_until: Callable[..., None],
    capsys: pytest.CaptureFixture[str],
) -> None:
    driver = start_driver(master=f"local-cluster[{LANES},1,700]", settings=BOTH_AT_ONCE, **job)
    wait_until(reached(sandbox, 10, driver), PATIENCE)
    killed = executors(driver)
    for pid in killed:
        os.kill(pid, signal.SIGKILL)
    assert len(killed) == LANES
    wait_until(reached(sandbox, 25, driver), PATIENCE)  # of those that have come instead
    kill_all_of(driver)
    carry_out(spark, job)
    assert repeats(sandbox) <= 2 * LANES
    check(sandbox, capsys, "executors, and then the driver", LANES + 1)
    assert not any(scratch.iterdir())
    keys = {each["idempotency_key"] for each in sandbox.requests()}
    carry_out(spark, job)  # as on a machine without the scratch space
    assert repeats(sandbox) == len(keys)
    check(sandbox, capsys, "the same once more, and the scratch space is lost", LANES + 1)


def test_a_stream_whose_driver_is_killed_goes_on_from_its_checkpoint(
    spark: SparkSession,
    job: dict[str, Any],
    sandbox: Sandbox,
    tmp_path: Path,
    start_driver: Callable[..., subprocess.Popen[str]],
    wait_until: Callable[..., None],
    capsys: pytest.CaptureFixture[str],
) -> None:
    del job["options"]["job"]
    job = {**job, "checkpoint": str(tmp_path / "checkpoint")}
    driver = start_driver(master="local[2]", **job)
    wait_until(reached(sandbox, 20, driver), PATIENCE)  # in the second micro-batch of four
    kill_all_of(driver)
    carry_out(spark, job)
    assert repeats(sandbox) <= LANES
    check(sandbox, capsys, "stream", 1)
