"""What the commands print of others' texts is shown, never obeyed, and no encoding ends them."""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
import unicodedata
from typing import TYPE_CHECKING, Any

import pytest

from segops_durable import SegOpsClient

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from segops_durable.sandbox import Sandbox

pytestmark = pytest.mark.one_python

EVIL = "\x1b]0;owned\x07\x1b[2J\x9b31m\rgone\u202etxt.exe\u2028[red]x[/red] :warning:"
ENCODINGS = {
    "UTF-8": {"PYTHONIOENCODING": "utf-8"},
    "ASCII": {"PYTHONIOENCODING": "ascii"},
    "Windows": {"PYTHONIOENCODING": "cp1252"},
    "C": {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
}


class Station:
    """A machine whose server, events and files are full of what a terminal obeys."""

    def __init__(self, home: Path, url: str) -> None:
        self.directory = home / f"dir {EVIL.replace('/', '_')}"
        self.queue_path = self.directory / "ü[bold]\udcff.db"
        self.records = self.directory / f"sales{EVIL.replace('/', '_')}.jsonl"
        self.export = self.directory / "[green]export\x1b[2J\udcfe.jsonl"
        self.env = {
            **{name: value for name, value in os.environ.items() if "SEGOPS" not in name},
            "SEGOPS_API_URL": url,
            "SEGOPS_API_KEY": "sk_test",
            "SEGOPS_QUEUE_PATH": os.fspath(self.queue_path),
            "XDG_CONFIG_HOME": os.fspath(home / "no-config"),
            "COLUMNS": "150",
            "TERM": "xterm",
        }

    def command(self, *words: str) -> list[str]:
        return [sys.executable, "-m", "segops_durable", *words]

    def run(self, *words: str, encoding: str = "UTF-8") -> tuple[int, bytes]:
        """Run a command; return its status, and all that it prints."""
        done = subprocess.run(
            self.command(*words),
            env={**self.env, **ENCODINGS[encoding]},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            check=False,
        )
        return done.returncode, done.stdout


@pytest.fixture
def station(tmp_path: Path, sandbox: Sandbox) -> Iterator[Station]:
    made = Station(tmp_path, sandbox.url)
    made.directory.mkdir()
    made.records.write_text(
        f'{{"user_id": "u", "event_type": "e{json.dumps(EVIL)[1:-1]}"}}\n{EVIL}'
    )
    client = SegOpsClient(
        sandbox.url, "sk_test", queue_path=made.queue_path, on_error=lambda _error: None
    )
    with client:
        sandbox.faults(status=400, json={"detail": EVIL})
        client.track(user_id=f"ann{EVIL}", event_type=f"bad{EVIL}", payload={"x": EVIL})
        assert client.flush(20).dead == 1
        sandbox.faults(status=403, json={"detail": EVIL})
        client.track(user_id=f"bob{EVIL}", event_type=f"t{EVIL}", payload={EVIL: "Grüße [b]"})
        assert client.flush(20).blocked
        yield made


def obeyed(text: str) -> list[str]:
    """What a terminal would obey, but for the ends of our own lines and columns."""
    return [
        each
        for each in text
        if (unicodedata.category(each) in {"Cc", "Zl", "Zp"} and each not in "\n\t")
        or unicodedata.bidirectional(each) in {"RLO", "LRO", "RLE", "LRE", "PDF", "RLI", "LRI"}
    ]


COMMANDS = (
    ("dead", "list"),
    ("dead", "list", "--json"),
    ("dead", "show", "1"),
    ("dead", "export", "-"),
    ("dead", "export", "{export}"),
    ("peek",),
    ("peek", "--json"),
    ("status",),
    ("status", "--json"),
    ("status", "--format", "prometheus"),
    ("doctor", "--offline"),
    ("doctor", "--offline", "--json"),
    ("config",),
    ("config", "--json"),
    ("import", "{records}"),
    ("import", "{records}x"),
    ("export", "{export}"),
    ("load", "{records}"),
    ("load", "{export}.no"),
    ("track", "", EVIL),
    ("track", "u", "a_b", f"{EVIL}"),
    ("track", "u", "a_b", "--payload", EVIL),
    ("track", "u", "a_b", f"--{EVIL}"),
    ("dead", "retry", EVIL),
    (EVIL,),
    (f"--{EVIL}",),
    ("status", "--queue-path", f"no{EVIL}"),
    ("status", "--config", f"no{EVIL}"),
    ("status", "--api-url", f"no{EVIL}"),
)


@pytest.mark.long
@pytest.mark.parametrize("encoding", ENCODINGS)
def test_no_command_prints_what_a_terminal_obeys_whatever_the_encoding(
    encoding: str, station: Station
) -> None:
    for words in COMMANDS:
        given = [
            each.replace("{records}", str(station.records)).replace("{export}", str(station.export))
            for each in words
        ]
        status, output = station.run(*given, encoding=encoding)
        is_narrow = encoding == "Windows" and "prometheus" not in words
        text = output.decode("cp1252" if is_narrow else "UTF-8")
        assert status in {0, 1, 2}, (words, text)
        assert "Traceback" not in text, (words, text)
        assert obeyed(text) == [], (words, text)
        assert "\u26a0" not in text, (words, text)


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_json_has_the_very_texts_whatever_the_encoding(encoding: str, station: Station) -> None:
    def of(*words: str) -> Any:
        return json.loads(station.run(*words, "--json", encoding=encoding)[1])

    assert of("dead", "list")["event"]["payload"] == {"x": EVIL}
    assert of("peek")["event"]["payload"] == {EVIL: "Grüße [b]"}
    if encoding != "C":  # there Python itself reads the path as other letters
        assert of("status")["outbox"] == str(station.queue_path)


def test_markup_in_texts_is_text(station: Station) -> None:
    for words in (("dead", "list"), ("peek",), ("status",)):
        assert b"[red]x[/red] :warning:" in station.run(*words)[1].replace(b"\n", b"") or (
            words == ("status",) and b"[bold]" in station.run(*words)[1]
        )


def test_bars_on_a_terminal_obey_no_name_of_a_file(
    station: Station, wait_until: Callable[[Callable[[], object]], None]
) -> None:
    ours, theirs = os.openpty()
    running = subprocess.Popen(
        station.command("import", str(station.records)),
        env={**station.env, "COLUMNS": "1000"},
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
    )
    os.close(theirs)
    output = b""

    def is_all_read() -> bool:
        nonlocal output
        while select.select([ours], [], [], 0.01)[0]:
            try:
                data = os.read(ours, 65_536)
            except OSError:  # nobody writes any more
                return True
            if not data:
                return True
            output += data
        return False

    wait_until(is_all_read)
    os.close(ours)
    assert running.wait() == 1
    assert b"sales" in output
    assert b"[red]x[_red]" in output
    assert b"\x1b[31mx" not in output  # in red: its markup was obeyed
    assert b"\x1b]0;" not in output
    assert b"\x07" not in output
    assert b"\xc2\x9b" not in output


def test_prometheus_reads_the_label_of_an_odd_path(station: Station) -> None:
    _, output = station.run("status", "--format", "prometheus")
    for line in output.decode().splitlines():
        assert line.startswith(("#", "segops_outbox_"))
        label = line.partition('outbox="')[2]
        assert "\\x" not in label.replace("\\\\", "")
