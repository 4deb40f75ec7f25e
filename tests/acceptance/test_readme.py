from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from segops_durable import Event, SegOpsClient, sign_user_id
from segops_durable.sandbox import HMAC_SECRET
from support.events import numbered, numbers

if TYPE_CHECKING:
    from collections.abc import Callable

    import pytest

    from segops_durable.identity.signing import SignedUserId
    from segops_durable.sandbox import Sandbox

README = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")


def example(section: str) -> str:
    """The first example in Python of a section."""
    text = README.split(f"\n## {section}\n")[1].split("\n## ")[0]
    return text.split("```python\n")[1].split("```")[0]


QUICKSTART = README.split("```python\n")[1].split("```")[0]
IN_TASKS = example("With asyncio or trio")
ON_A_SHARED_DEVICE = example("On a shared device")
WHEN_IT_MAY_SEND = example("When it may send")
IN_A_JOB = example("In an ETL job")
BEFORE_THE_DISK = example("Before the disk")
DEAD_LETTERS = example("Dead letters")


def test_the_example_runs_as_it_stands(sandbox: Sandbox, tmp_path: Path) -> None:
    assert len([line for line in QUICKSTART.splitlines() if line]) <= 10
    example = QUICKSTART.replace("https://api.segops.ai", sandbox.url)
    result = subprocess.run(
        [sys.executable, "-c", example],
        env={"XDG_STATE_HOME": str(tmp_path), "HOME": str(tmp_path), "PATH": ""},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert re.fullmatch(r"[012] sent, 0 waiting on disk\n", result.stdout)
    assert [row["event"]["event_type"] for row in sandbox.events()] == [
        "context_identified",
        "page_viewed",
    ]


def test_the_example_with_asyncio_runs_as_it_stands(sandbox: Sandbox, tmp_path: Path) -> None:
    subprocess.run(
        [sys.executable, "-c", IN_TASKS.replace("https://api.segops.ai", sandbox.url)],
        env={"XDG_STATE_HOME": str(tmp_path), "HOME": str(tmp_path), "PATH": ""},
        timeout=60,
        check=True,
    )
    users = [row["event"]["user_id"] for row in sandbox.events()]
    assert sorted(users) == sorted(f"user-{number}" for number in range(1000))


def test_the_dead_letters_example_runs_as_it_stands(
    sandbox: Sandbox, make_client: Callable[..., SegOpsClient], capsys: pytest.CaptureFixture[str]
) -> None:
    client = make_client()
    sandbox.faults(status=400, json={"payload": ["Too sad."]})
    client.track(user_id="u", event_type="page_viewed", payload={"screen": "Pricing"})
    assert client.flush(timeout=60).dead == 1
    sandbox.faults()
    exec(DEAD_LETTERS, {"client": client})
    assert "1 Cause.REFUSED 400" in capsys.readouterr().out
    assert client.flush(timeout=60).ok
    assert len(sandbox.events()) == 1


def test_the_example_of_when_it_may_send_runs_as_it_stands(
    sandbox: Sandbox, queue_path: Path
) -> None:
    there: dict[str, Any] = {
        "SegOpsClient": partial(SegOpsClient, queue_path=queue_path),
        "Path": Path,
        "datetime": datetime,
        "api_url": sandbox.url,
        "api_key": "sk_test",
    }
    exec(WHEN_IT_MAY_SEND, there)
    client = there["client"]
    client.track(user_id="u", event_type="seen")
    is_open = not 9 <= datetime.now().astimezone().hour < 18  # as the example has it
    assert client.flush(timeout=20).ok is is_open
    client.shutdown(0)


def test_the_example_of_what_happens_before_the_disk_runs_as_it_stands(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    there: dict[str, Any] = {
        "SegOpsClient": SegOpsClient,
        "Event": Event,
        "queue_path": tmp_path / "outbox.db",
    }
    there |= {"api_url": sandbox.url, "api_key": "sk_test"}
    exec(BEFORE_THE_DISK.replace("api_key,", "api_key, queue_path=queue_path,"), there)
    client: Any = there["client"]
    with client:
        client.track(user_id="robot-1", event_type="page_viewed")
        client.track(user_id="ann", event_type="sold", payload={"card_number": "4111", "n": 1})
        assert client.flush(timeout=60).ok
        assert client.stats().screened_out == 1
    assert [row["event"]["payload"] for row in sandbox.events()] == [{"n": 1}]


class App:
    """What the example on shared devices takes for granted."""

    def __init__(self) -> None:
        self.user: App.User | None = App.User("ann")
        self.backend = self

    @dataclass
    class User:
        id: str

    def sign(self, user_id: str) -> SignedUserId:
        return sign_user_id(HMAC_SECRET, user_id)


def test_the_example_of_a_shared_device_runs_as_it_stands(
    sandbox: Sandbox, default_directory: Path
) -> None:
    sandbox.configure(require_signed=True)
    sandbox.stop()
    names: dict[str, Any] = {"app": App()}
    exec(ON_A_SHARED_DEVICE.replace("https://api.segops.ai", sandbox.url), names)
    client: SegOpsClient = names["client"]
    visitor = client.anonymous_id
    client.track(user_id="ann", event_type="page_viewed")
    names["log_out"]()
    client.track(user_id="whoever", event_type="page_viewed")
    sandbox.start()
    assert client.flush(timeout=20).ok
    assert [row["user_id"] for row in sandbox.events()] == ["ann", client.anonymous_id]
    assert client.anonymous_id != visitor
    client.shutdown()
    assert default_directory.exists()


def test_the_example_of_a_job_queues_each_row_once_though_it_is_run_twice(
    make_client: Callable[..., SegOpsClient], sandbox: Sandbox
) -> None:
    client = make_client()
    chunks = [numbered(30, first=30 * number) for number in range(4)]
    for known in (chunks[:2], chunks, chunks):
        exec(IN_A_JOB, {"client": client, "chunks": known})
    assert client.flush(timeout=20).ok
    assert sorted(numbers(sandbox)) == list(range(120))
