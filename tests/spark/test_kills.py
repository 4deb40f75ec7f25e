"""Executors and drivers that are killed: what was sent is not lost, and repeated as it was."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from support.spark_runs import descendants, keys_by_event, kill_all_of, numbers

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable

    from segops_durable.sandbox import Sandbox

ROWS = 1000
LANES = 2
PATIENCE = 600.0
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
    """Requests that had the key of an earlier one."""
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


def test_executors_that_are_killed_repeat_one_request_a_lane_at_most(
    job: dict[str, Any],
    sandbox: Sandbox,
    start_driver: Callable[..., subprocess.Popen[str]],
    wait_until: Callable[..., None],
    capsys: pytest.CaptureFixture[str],
) -> None:
    driver = start_driver(master=f"local-cluster[{LANES},1,700]", **job)
    kills = 0
    for least in (10, 30):
        wait_until(reached(sandbox, least, driver), PATIENCE)
        for pid in executors(driver):
            os.kill(pid, signal.SIGKILL)
            kills += 1
    assert driver.wait(PATIENCE) == 0
    assert kills >= LANES
    assert repeats(sandbox) <= kills
    check(sandbox, capsys, "executors", kills)


@pytest.mark.parametrize("is_scratch_lost", [False, True])
def test_a_driver_that_is_killed_and_run_again_goes_on_or_repeats_all_under_its_keys(
    is_scratch_lost: bool,
    job: dict[str, Any],
    sandbox: Sandbox,
    scratch: Path,
    start_driver: Callable[..., subprocess.Popen[str]],
    wait_until: Callable[..., None],
    capsys: pytest.CaptureFixture[str],
) -> None:
    driver = start_driver(master="local[2]", **job)
    wait_until(reached(sandbox, 20, driver), PATIENCE)
    kill_all_of(driver)
    if is_scratch_lost:
        scratch.rename(scratch.with_name("lost"))
    assert start_driver(master="local[2]", **job).wait(PATIENCE) == 0
    assert repeats(sandbox) >= 18 if is_scratch_lost else repeats(sandbox) <= LANES
    assert not any(scratch.iterdir())
    check(sandbox, capsys, f"driver, scratch lost: {is_scratch_lost}", 1)


def test_a_stream_whose_driver_is_killed_goes_on_from_its_checkpoint(
    job: dict[str, Any],
    sandbox: Sandbox,
    tmp_path: Path,
    start_driver: Callable[..., subprocess.Popen[str]],
    wait_until: Callable[..., None],
    capsys: pytest.CaptureFixture[str],
) -> None:
    del job["options"]["job"]
    job = {**job, "checkpoint": str(tmp_path / "checkpoint"), "master": "local[2]"}
    driver = start_driver(**job)
    wait_until(reached(sandbox, 20, driver), PATIENCE)  # in the second micro-batch of four
    kill_all_of(driver)
    assert start_driver(**job).wait(PATIENCE) == 0
    assert repeats(sandbox) <= LANES
    check(sandbox, capsys, "stream", 1)
