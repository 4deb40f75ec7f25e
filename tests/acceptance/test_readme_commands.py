"""README's commands for a keyboard are run, and say what is written there, but for its figures."""

from __future__ import annotations

import json
import re
import shutil
import socket
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from segops_durable import SegOpsClient
from segops_durable.sandbox import HMAC_SECRET
from support.console import Console, Step, blocks

if TYPE_CHECKING:
    from segops_durable.sandbox import Sandbox

pytestmark = [
    pytest.mark.one_python,
    pytest.mark.skipif(not shutil.which("bash"), reason="the examples are for a shell"),
]

README = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")


@pytest.fixture
def console(sandbox: Sandbox, tmp_path: Path) -> Console:
    return Console(tmp_path, sandbox.url)


def steps_of(heading: str) -> list[Step]:
    section = README.split(f"\n## {heading}\n")[1].split("\n## ")[0]
    return [step for steps in blocks(section) for step in steps]


def printed(console: Console, command: str) -> list[str]:
    done = subprocess.run(
        ["bash", "-c", command],
        cwd=console.directory,
        env=console.env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=60,
    )
    return done.stdout.splitlines()


def shape(lines: list[str], console: Console) -> list[str]:
    """Lines without what is different on each machine: figures, the file and its disk, a host."""
    places = {
        str(console.queue_path): "FILE",
        "/var/lib/kiosk/outbox.db": "FILE",
        console.env["SEGOPS_API_URL"]: "URL",
        "http://localhost:8787": "URL",
    }
    text = "\n".join(line for line in lines if "━" not in line)
    for place, name in places.items():
        text = text.replace(place, name)
    text = re.sub(r"(file system: ).+", r"\1…", text)
    return re.sub(r"[\d.,:T+-]*\d(?: [kMGT]?B\b)?", "0", text).splitlines()


def test_a_kiosk_is_looked_after_as_it_is_written_there(sandbox: Sandbox, console: Console) -> None:
    doctor, drain, status = steps_of("At a kiosk")
    sandbox.stop()
    with SegOpsClient(
        sandbox.url, "sk_test", queue_path=console.queue_path, shutdown_timeout=0
    ) as client:
        client.track_many({"user_id": f"u-{n}", "event_type": "e"} for n in range(1841))
    sandbox.start()
    sandbox.configure(revoked_keys=["sk_test"])
    found = printed(console, doctor.command)
    assert shape(found, console) == shape(doctor.expected, console)
    sandbox.configure(revoked_keys=[])
    for step in (drain, status):
        found = printed(console, step.command)
        assert shape(found, console) == shape(step.expected, console)
    assert len(sandbox.events()) == 1841


def test_a_signature_is_made_as_it_is_written_there(console: Console) -> None:
    (sign,) = steps_of("On a shared device")
    (console.directory / "secret.hex").write_text(HMAC_SECRET)
    (line,) = printed(console, sign.command)
    (written,) = sign.expected
    assert json.loads(line).keys() == json.loads(written).keys()


def test_a_skipped_event_is_explained_as_it_is_written_there(
    sandbox: Sandbox, console: Console
) -> None:
    (explain,) = steps_of("Dead letters")
    sandbox.configure(required={"paid": ["amount"]})
    with SegOpsClient(
        sandbox.url, "sk_test", queue_path=console.queue_path, flush_interval=600
    ) as client:
        for n in range(20):
            payload = {} if n == 7 else {"amount": n}
            client.track(user_id="u", event_type="paid", payload=payload)
        assert client.flush(60).dead == 20
        found = printed(console, f"{explain.command} --per-minute 6000")
        assert sum("\tdelivered\t" in line for line in found) == 19
        (letter,) = client.dead_letters()
        assert letter.cause == "refused"
        assert "amount" in str(letter.reason)


@pytest.mark.skipif(not shutil.which("curl"), reason="the examples use curl")
def test_the_sandbox_is_told_and_asked_as_it_is_written_there(console: Console) -> None:
    serve, faults, summary = steps_of("The sandbox")
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port = str(one.getsockname()[1])
    command = ["bash", "-c", f"exec {serve.command}".replace("8787", port)]
    with subprocess.Popen(
        command, cwd=console.directory, env=console.env, stdout=subprocess.PIPE, text=True
    ) as running:
        try:
            wait = "curl -s --retry 60 --retry-delay 1 --retry-connrefused --noproxy '*'"
            lines = [
                printed(console, step.command.replace("curl", wait).replace("8787", port))
                for step in (faults, summary)
            ]
            assert json.loads(lines[-1][0])["events"] == 0
        finally:
            running.terminate()
    assert (console.directory / "accepted.db").exists()
