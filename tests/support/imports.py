"""Imports of the corpus: run in a home of their own, and held against what is expected."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
from contextlib import closing
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any, NamedTuple

from click.testing import CliRunner, Result

from segops_durable.cli.commands import run

DATA = Path(__file__).parents[1] / "data"
EXPECTED = ".expected.json"
NAMES = sorted(path.name.removesuffix(EXPECTED) for path in DATA.glob(f"*{EXPECTED}"))


class Number(NamedTuple):
    """A number of JSON, by its text: 3.10 is not 3.1, and 1 is not "1"."""

    text: str


class Expected(NamedTuple):
    """What the neighbour of a file says."""

    about: str
    arguments: list[str]
    status: int
    mentions: str
    called: str
    is_stdin: bool
    records: int
    events: list[Any]
    rejects: list[Any]

    @property
    def is_refused(self) -> bool:
        """Whether nothing may come of it."""
        return bool(self.mentions)

    @property
    def can_go_on(self) -> bool:
        """Whether another run would find its place."""
        return not self.is_stdin or "--job" in self.arguments


class Import:
    """A file of the corpus, or another one, in a home of its own.

    Args:
        home: An empty directory.
        file: The file, or the directory, which is copied.
        expected: What has to come of it.
    """

    def __init__(self, home: Path, file: Path, expected: Expected) -> None:
        self.queue_path = home / "queue" / "outbox.db"
        self.expected = expected
        self.file = home / expected.called
        if file.is_dir():
            shutil.copytree(file, self.file)
        else:
            shutil.copyfile(file, self.file)
        self.rejects_path = home / "rejects.jsonl"
        self.env = {
            **{name: "" for name in os.environ if name.startswith("SEGOPS_")},
            "SEGOPS_CONFIG": "",
            "SEGOPS_API_URL": "http://127.0.0.1:9",
            "SEGOPS_API_KEY": "sk_test",
            "SEGOPS_QUEUE_PATH": str(self.queue_path),
            "XDG_CONFIG_HOME": str(home / "config"),
            "XDG_STATE_HOME": str(home / "state"),
            "HOME": str(home),
            "COLUMNS": "200",
        }
        source = "-" if expected.is_stdin else str(self.file)
        self.words = ["import", source, *expected.arguments, "--rejects", str(self.rejects_path)]

    def run(self, *more: str) -> Result:
        """Import it, in this process."""
        given = self.file.read_bytes() if self.expected.is_stdin else None
        return CliRunner().invoke(run, [*self.words, *more], env=self.env, input=given)

    def run_rejected(self) -> Result:
        """Import what was rejected of it, in this process."""
        words = ["import", "--rejected", str(self.rejects_path), *self.expected.arguments]
        return CliRunner().invoke(run, words, env=self.env)

    def stored(self) -> list[Any]:
        """The events in the outbox, their numbers by their texts."""
        if not self.queue_path.exists():
            return []
        with closing(sqlite3.connect(self.queue_path)) as file:
            rows = file.execute("SELECT data FROM queue_outbox ORDER BY _id").fetchall()
        return [read(row[0].decode()) for row in rows]

    def rejected(self) -> list[Any]:
        """The lines of the file of rejects."""
        if not self.rejects_path.exists():
            return []
        return [json.loads(line) for line in self.rejects_path.read_text("utf-8").splitlines()]


def read(text: str) -> Any:
    """Read JSON, its numbers as their texts."""
    return json.loads(text, parse_int=Number, parse_float=Number)


def expected_of(name: str) -> Expected:
    """What the neighbour of a file says."""
    found = json.loads((DATA / f"{name}{EXPECTED}").read_text("utf-8"))
    events = read((DATA / f"{name}{EXPECTED}").read_text("utf-8"))["events"]
    repeated: list[Any] = []
    for event in events:
        count = int(event["$times"].text) if "$times" in event else 1
        repeated.extend([_written_out(event.get("$event", event))] * count)
    return Expected(**{**found, "events": repeated})


def differences(found: list[Any], expected: list[Any], started: datetime) -> list[str]:
    """What is not as it has to be, in words."""
    problems = []
    for number, (one, other) in enumerate(zip(found, expected, strict=False)):
        event = dict(one)
        if "occurred_at" not in other and not _is_now(event.pop("occurred_at"), started):
            problems.append(f"event {number} did not occur at the time of the import: {one}")
        if event != other:
            problems.append(f"event {number} is {_short(event)}, expected {_short(other)}")
    if len(found) != len(expected):
        more = found[len(expected) :] or expected[len(found) :]
        problems.append(
            f"{len(found)} events, expected {len(expected)}; first of the others: {_short(more[0])}"
        )
    return problems


def rejects_differ(found: list[Any], expected: list[Any]) -> list[str]:
    """Likewise of the rejects."""
    problems = []
    lines = [(each["line"], each.get("last_line", each["line"])) for each in found]
    wanted = [(each["first"], each["last"]) for each in expected]
    if lines != wanted:
        problems.append(f"rejects of lines {lines}, expected {wanted}")
    else:
        problems += [
            f"line {one['line']}: {one['reason']!r} does not mention {other['mentions']!r}"
            for one, other in zip(found, expected, strict=True)
            if other["mentions"].lower() not in one["reason"].lower()
        ]
    return problems


def _written_out(value: Any) -> Any:
    """A long text is written short in the neighbour: {"$text": ["x", 140000]}."""
    if isinstance(value, dict):
        if value.keys() == {"$text"}:
            return value["$text"][0] * int(value["$text"][1].text)
        return {name: _written_out(item) for name, item in value.items()}
    return value


def _is_now(text: str, started: datetime) -> bool:
    found = datetime.fromisoformat(text)
    return started - timedelta(seconds=2) <= found <= datetime.now(timezone.utc)


def _short(value: Any) -> str:
    text = _plain(value)
    return text if len(text) < 300 else f"{text[:300]}…"


def _plain(value: Any) -> str:
    if isinstance(value, Number):
        return value.text
    if isinstance(value, dict):
        return "{" + ", ".join(f"{name!r}: {_plain(item)}" for name, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_plain, value)) + "]"
    return repr(value)
