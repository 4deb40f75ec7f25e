"""What a relay says of itself over HTTP, and to its manager, when something is wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import requests

from support.relays import event
from support.systemd import RELAY, Systemd

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from segops_durable.sandbox import Sandbox

    Wait = Callable[[Callable[[], object]], None]

pytestmark = pytest.mark.one_python

BATCH = "/api/ingestion/track/batch/"

HANGS = """
import os, sys
from segops_durable.cli.start import main
from segops_durable.delivery.gate import Gate
from segops_durable.system import pulse

def ask(self):
    if os.path.exists(os.environ["HANG"]):
        sys.stdin.readline()
    return True

pulse.WORK_SECONDS = 1.0
Gate.ask = ask
main()
"""


def test_its_health_and_its_watchdog_fail_while_its_sender_hangs_and_recover(
    started: Callable[..., Any], tmp_path: Path, systemd: Systemd, wait_until: Wait
) -> None:
    hang = tmp_path / "hang"
    more = {"WATCHDOG_USEC": "100000", "HANG": str(hang)}
    with started(("-c", HANGS, *RELAY[2:]), more) as (relay, url):
        assert relay.process.stdin is not None

        def health() -> requests.Response:
            return requests.get(url + "/health", timeout=60)

        systemd.wait_for_line("WATCHDOG=1")
        wait_until(lambda: health().status_code == 200)
        hang.touch()
        wait_until(lambda: health().status_code == 503)
        assert "The sender hangs" in health().json()["reason"]
        for _ in range(3):
            systemd.wait_for(lambda said: "The sender hangs" in said)
        first = next(at for at, said in enumerate(systemd.heard) if "hangs" in said)
        assert "WATCHDOG=1" not in systemd.heard[first:]
        hang.unlink()
        relay.process.stdin.write("go on\n")
        relay.process.stdin.flush()
        systemd.wait_for_line("WATCHDOG=1")
        wait_until(lambda: health().status_code == 200)


def test_its_pages_say_how_it_is(started: Callable[..., Any], sandbox: Sandbox) -> None:
    sandbox.stop()
    with started(more={"SEGOPS_MAX_QUEUE_EVENTS": "2", "SEGOPS_SHUTDOWN_TIMEOUT": "0"}) as (_, url):
        answer = requests.get(url + "/health", timeout=60)
        assert answer.status_code == 200
        assert answer.json()["status"] == "ok"
        posted = [
            requests.post(
                url + BATCH,
                json={"events": [event(1), event(2)]},
                headers={"Authorization": "ApiKey sk_test"},
                timeout=60,
            ).status_code
            for _ in range(2)
        ]
        assert posted == [202, 503]
        answer = requests.get(url + "/health", timeout=60)
        assert answer.status_code == 503
        assert "full" in answer.json()["reason"]
        assert answer.json()["waiting"] == 2
        metrics = requests.get(url + "/metrics", timeout=60)
        assert metrics.headers["Content-Type"].startswith("text/plain; version=0.0.4")
        assert "segops_outbox_waiting_events{" in metrics.text
        foreign = requests.get(url + "/metrics", headers={"Host": "evil.example"}, timeout=60)
        assert foreign.status_code == 421
    sandbox.start()


def health(url: str) -> requests.Response:
    return requests.get(url + "/health", timeout=60)


def post(url: str, *events: dict[str, Any]) -> int:
    key = {"Authorization": "ApiKey sk_test"}
    body = {"events": [*events]}
    return requests.post(url + BATCH, json=body, headers=key, timeout=60).status_code


def test_a_key_that_segops_refuses_is_told_and_is_no_reason_to_end_it(
    started: Callable[..., Any], sandbox: Sandbox, systemd: Systemd, wait_until: Wait
) -> None:
    sandbox.configure(revoked_keys=["sk_test"])
    with started(more={"WATCHDOG_USEC": "100000"}) as (relay, url):
        assert post(url, event(1), event(2)) == 202
        wait_until(lambda: health(url).json()["state"] == "unauthorised")
        answer = health(url)
        assert answer.status_code == 200
        assert answer.json() == {
            "status": "ok",
            "reason": None,
            "waiting": 2,
            "state": "unauthorised",
        }
        systemd.wait_for_line("STATUS=2 wait; unauthorised")
        for _ in range(3):
            systemd.wait_for_line("WATCHDOG=1")
        assert post(url, event(3)) == 202  # events are taken
        wait_until(lambda: '"state": "unauthorised"' in relay.log)
        sandbox.configure(revoked_keys=[])


@pytest.mark.parametrize(
    ("limit", "most"), [("SEGOPS_MAX_QUEUE_EVENTS", "100"), ("SEGOPS_MAX_QUEUE_BYTES", "150000")]
)
def test_its_health_fails_while_its_outbox_is_full_and_recovers_once_it_takes_events(
    started: Callable[..., Any], sandbox: Sandbox, wait_until: Wait, limit: str, most: str
) -> None:
    sandbox.stop()
    numbers = iter(range(1_000_000))

    def track() -> int:
        return post(url, *(event(next(numbers), payload={"text": "x" * 500}) for _ in range(50)))

    with started(more={limit: most, "SEGOPS_SHUTDOWN_TIMEOUT": "0"}) as (_, url):
        assert health(url).status_code == 200
        while (status := track()) == 202:
            continue
        assert status == 503
        answer = health(url)
        assert (answer.status_code, answer.json()["status"]) == (503, "failed")
        assert "full" in answer.json()["reason"]
        assert limit.removeprefix("SEGOPS_").lower() in answer.json()["reason"]
        assert answer.json()["waiting"] > 0
        sandbox.start()
        wait_until(lambda: track() == 202)
        wait_until(lambda: health(url).status_code == 200)
