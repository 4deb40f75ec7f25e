"""Celery: the processes of the pool track, and one of them, or their parent, sends."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from segops_durable.sandbox import Sandbox
    from support.programs import Programs

pytestmark = [pytest.mark.long, pytest.mark.one_python]

CONFIG = """
broker_url = "filesystem://"
broker_transport_options = {
    "data_folder_in": "queue", "data_folder_out": "queue", "control_folder": "control"
}
imports = ["killed"]
beat_schedule = {"daily": {"task": "celery_app.ship", "schedule": 86400, "args": ["x"]}}
"""
KILLED_ONCE = """
import os, signal
from pathlib import Path
from celery_app import app, ship

@app.task(bind=True, acks_late=True, reject_on_worker_lost=True)
def ship_and_die(self, order):
    ship.run.__func__(self, order)
    if not Path("died").exists():
        Path("died").touch()
        os.kill(os.getpid(), signal.SIGKILL)
"""
WORKER = ("celery", "--app", "celery_app", "worker", "--concurrency", "3", "--loglevel", "INFO")


@pytest.fixture
def call(programs: Programs) -> Callable[[str, str], None]:
    (programs.home / "celeryconfig.py").write_text(CONFIG)
    (programs.home / "killed.py").write_text(KILLED_ONCE)
    for name in ("queue", "control"):
        (programs.home / name).mkdir()

    def send(task: str, order: str) -> None:
        command = ("celery", "--app", "celery_app", "call", task, "--args", f'["{order}"]')
        with programs.started(*command) as process:
            assert process.wait(60) == 0, programs.log

    return send


def orders(sandbox: Sandbox) -> list[str]:
    events = [row["event"] for row in sandbox.events()]
    return sorted(e["payload"]["order"] for e in events if e["event_type"] == "order_shipped")


def test_what_tasks_track_arrives_once_and_all_of_it_by_the_end_of_the_worker(
    sandbox: Sandbox,
    programs: Programs,
    call: Callable[[str, str], None],
    wait_until: Callable[..., None],
) -> None:
    for number in range(4):
        call("celery_app.ship", str(number))
    with programs.started(*WORKER):
        wait_until(lambda: programs.log.count("succeeded in") == 4, 90)
    assert orders(sandbox) == ["0", "1", "2", "3"]
    assert "Traceback" not in programs.log


def test_a_task_whose_process_was_killed_is_known_again_by_its_id(
    sandbox: Sandbox,
    programs: Programs,
    call: Callable[[str, str], None],
    wait_until: Callable[..., None],
) -> None:
    call("killed.ship_and_die", "7")
    with programs.started(*WORKER):
        wait_until(lambda: len(orders(sandbox)) == 2, 90)
    tasks = {row["event"]["payload"]["task"] for row in sandbox.events()}
    assert len(tasks) == 1


def test_beat_tracks_too(
    sandbox: Sandbox,
    programs: Programs,
    call: Callable[[str, str], None],
    wait_until: Callable[..., None],
) -> None:
    call("celery_app.ship", "nobody takes it")
    with programs.started("celery", "--app", "celery_app", "beat"):
        wait_until(lambda: sandbox.summary()["events"] == 1, 90)
    assert [row["event"]["event_type"] for row in sandbox.events()] == ["beat_started"]
