"""README's examples that consume a topic run as they stand, but for where the broker is."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from support.console import Console, blocks
from support.kafka import Broker
from support.kafka_broker import library

if TYPE_CHECKING:
    from segops_durable.sandbox import Sandbox

README = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
SECTION = README.split("## From Kafka\n")[1].split("\n## ")[0]
(EXAMPLE,) = re.findall(r"```python\n(.*?)```", SECTION, re.DOTALL)

pytestmark = [
    pytest.mark.one_python,
    pytest.mark.skipif(library() is None, reason="there is no mock broker in this build"),
]


def test_the_example_queues_each_message_and_writes_down_what_is_none(
    sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broker = Broker()
    broker.create()
    broker.produce([{"user": "u-1", "n": 1}], headers=[("type", b"clicked")])
    broker.produce([b"bad"], partition=1)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    code = EXAMPLE.replace("broker:9092", broker.servers)
    code = code.replace("https://api.segops.ai", sandbox.url)
    names: dict[str, object] = {}
    exec(
        f"{code[: code.rindex(')')]}    until_end=True,\n)\nassert client.flush(timeout=60).ok",
        names,
    )
    exec("client.shutdown(0)", names)
    broker.close()
    (row,) = sandbox.events()
    event = row["event"]
    assert (event["user_id"], event["event_type"], event["payload"]) == ("u-1", "clicked", {"n": 1})
    (line,) = Path("clicks.rejects.jsonl").read_text(encoding="utf-8").splitlines()
    assert json.loads(line)["record"] == "bad"


@pytest.mark.skipif(not shutil.which("bash"), reason="the example is for a shell")
def test_the_command_prints_what_is_written_there(sandbox: Sandbox, tmp_path: Path) -> None:
    ((step,),) = blocks(SECTION)
    stored = int(step.expected[0].split()[0].replace(",", ""))
    broker = Broker()
    broker.create()
    broker.produce([{"user": "u-1", "n": n} for n in range(stored)], headers=[("type", b"clicked")])
    broker.produce([b"bad"], partition=1)
    step.command = step.command.replace("broker:9092", broker.servers)
    Console(tmp_path, sandbox.url).run(step)
    broker.close()
    assert len(sandbox.events()) == stored
