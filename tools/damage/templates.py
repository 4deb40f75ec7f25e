"""Outboxes before they are damaged, and what is known of them.

What was tracked is known byte for byte, and so is whether a row is still whole: its record is
looked for in the damaged files.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sqlite3
import struct
from contextlib import closing, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from damage.machine import Machine, event_of
from segops_durable.outbox import Checkpoint

if TYPE_CHECKING:
    from pathlib import Path

FILES = ("outbox.db", "outbox.db-wal", "outbox.db.lock")
_PAGE = 4096


@dataclass
class Template:
    """An outbox before it is damaged, and what is known of it.

    Attributes:
        name: What it is.
        files: Its files, by name.
        waiting: Numbers of the events that wait.
        unanswered: Those of them that may have been sent.
        accepted: Numbers of the events that SegOps has accepted.
        dead: Numbers of the events in the dead letters.
        records: What a row of a waiting event looks like in the file.
    """

    name: str
    files: dict[str, bytes]
    waiting: set[int]
    unanswered: set[int]
    accepted: set[int]
    dead: set[int]
    records: dict[int, list[bytes]]


def make_template(directory: Path, name: str, seed: int, *, is_killed: bool) -> Template:
    """Make an outbox in a process of its own, which ends well or is killed."""
    directory.mkdir(parents=True)
    note = directory / "note.json"
    pid = os.fork()
    if not pid:
        with suppress(BaseException):
            note.write_text(json.dumps(_fill(directory / "outbox.db", seed)), encoding="utf-8")
            if not is_killed:
                _machines[-1].client.shutdown(0)
        os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(pid, 0)
    facts = {key: set(value) for key, value in json.loads(note.read_text("utf-8")).items()}
    files = {each: (directory / each).read_bytes() for each in FILES if (directory / each).exists()}
    return Template(
        name,
        files,
        facts["waiting"],
        facts["unanswered"],
        facts["accepted"],
        facts["dead"],
        _records(directory / "outbox.db", facts["waiting"]),
    )


_machines: list[Machine] = []


def _fill(path: Path, seed: int) -> dict[str, list[int]]:
    """Track, send, refuse and mark, as the seed decides."""
    chance = random.Random(seed)  # noqa: S311 - outboxes that can be repeated
    machine = Machine(path)
    _machines.append(machine)
    count = 0
    for _ in range(chance.randrange(1, 4)):
        more = chance.randrange(20, 80)
        for number in range(count, count + more):
            machine.track(event_of(number))
        count += more
        machine.client.flush(20)
    machine.server.is_up = False
    more = chance.randrange(40, 200)
    for number in range(count, count + more):
        machine.track(event_of(number))
    checkpoint = Checkpoint("job", {"line": count})
    machine.client._outbox.commit.append([], checkpoint=checkpoint)  # noqa: SLF001 - as an import does
    machine.client.flush(0.5)
    dead = {
        letter.event["payload"]["n"] for letter in machine.client.dead_letters() if letter.event
    }
    accepted = {number for number, _, _ in machine.server.sent}
    waiting = set(range(count + more)) - accepted - dead
    return {
        "waiting": sorted(waiting),
        "unanswered": sorted(machine.server.unanswered & waiting),
        "accepted": sorted(accepted),
        "dead": sorted(dead),
    }


def _records(path: Path, waiting: set[int]) -> dict[int, list[bytes]]:
    """What the records of waiting events look like in the file, piece by piece.

    They are put together here, not by the code that is tried.
    """
    files = b"".join(each.read_bytes() for each in path.parent.glob("outbox.db*"))
    found = {}
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as file:
        names = [row[1] for row in file.execute("PRAGMA table_info(queue_outbox)")]
        for row in file.execute("SELECT * FROM queue_outbox"):
            values = [None, *row[1:]]
            number = json.loads(row[names.index("data")])["payload"]["n"]
            record = _encoded(values)
            pieces = [record]
            if len(record) > _PAGE - 35:
                pieces = [record[at : at + 32] for at in range(0, len(record), 32)]
            found[number] = [piece for piece in pieces if piece in files]
    return {number: found.get(number, []) for number in waiting}


def _encoded(values: list[Any]) -> bytes:
    kinds, body = [], b""
    for value in values:
        if value is None:
            kinds.append(0)
        elif isinstance(value, float):
            kinds.append(7)
            body += struct.pack(">d", value)
        elif isinstance(value, int):
            size, kind = next(
                each
                for each in ((1, 1), (2, 2), (3, 3), (4, 4), (6, 5), (8, 6))
                if -(1 << 8 * each[0] - 1) <= value < 1 << 8 * each[0] - 1
            )
            kinds.append(kind)
            body += value.to_bytes(size, "big", signed=True)
        else:
            data = value.encode() if isinstance(value, str) else value
            kinds.append(2 * len(data) + (13 if isinstance(value, str) else 12))
            body += data
    header = b"".join(_varint(kind) for kind in kinds)
    return bytes([len(header) + 1]) + header + body


def _varint(value: int) -> bytes:
    out = [value & 0x7F]
    while value := value >> 7:
        out.insert(0, value & 0x7F | 0x80)
    return bytes(out)
