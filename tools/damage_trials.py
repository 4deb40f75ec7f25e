"""One trial of `fuzz_damage.py`: an outbox is damaged, and a client makes the best of it.

SegOps is played by an adapter in memory, so that a trial takes milliseconds. What was
tracked is known byte for byte, and so is whether a row is still whole: its record is looked
for in the damaged files.
"""

from __future__ import annotations

import io
import json
import os
import random
import shutil
import signal
import sqlite3
import struct
from collections import Counter
from contextlib import closing, suppress
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

import requests
from click.testing import CliRunner
from requests.adapters import BaseAdapter

from segops_durable import Event, SegOpsClient, SegOpsError, UserContext
from segops_durable.cli.commands import run as run_command
from segops_durable.errors import (
    DamagedEventError,
    DamagedOutboxError,
    RefusedError,
    ReplacedOutboxError,
    StorageError,
)
from segops_durable.events import encode_event
from segops_durable.outbox import Cause, Checkpoint
from segops_durable.outbox.records import origin

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Damage = Callable[[Path], None]

origin._KEEP_INODES.clear()  # noqa: SLF001 - all outboxes here are copies, and are no news

URL = "https://segops.invalid"
USERS = ("ann", "bob", "eve")
FILES = ("outbox.db", "outbox.db-wal", "outbox.db.lock")
BATCH_SIZE = 20
COMMANDS = (
    ["status"],
    ["doctor", "--offline"],
    ["doctor", "--offline", "--repair"],
    ["dead", "list"],
)
_REFUSED, _LARGE = 61, 23  # every so many events is one that SegOps refuses, or a large one
_SECTOR, _PAGE = 512, 4096
_LARGE_BYTES = (3000, 5000, 9000)
FRESH = 1_000_001
_OF_DAMAGE = (DamagedOutboxError, DamagedEventError, ReplacedOutboxError, StorageError)


class Server(BaseAdapter):
    """Takes everything but what it shall refuse, and notes as whom it came.

    Attributes:
        is_up: Whether it takes anything.
        sent: The events that it took, by number, with the user that they came as.
        unanswered: Numbers of the events that it has seen and not taken.
    """

    def __init__(self, *, is_up: bool = True) -> None:
        super().__init__()
        self.is_up = is_up
        self.sent: list[tuple[int, str, dict[str, Any]]] = []
        self.unanswered: set[int] = set()

    def send(
        self, request: requests.PreparedRequest, *_: object, **__: object
    ) -> requests.Response:
        """Answer a request."""
        body = json.loads(request.body or b"{}")
        if "events" not in body:
            uid = body.get("user_id") or body.get("anonymous_id")
            session = {
                "token": uid.encode().hex(),
                "uid": uid,
                "expires_at": "2099-01-01T00:00:00Z",
            }
            return _response(request, 200, session)
        events = body["events"]
        numbers = [event["payload"]["n"] for event in events]
        if not self.is_up:
            self.unanswered.update(numbers)
            return _response(request, 503, {"detail": "later"})
        if any(event["payload"].get("is_bad") for event in events):
            return _response(request, 400, {"detail": "no"})
        token = str(request.headers["Authorization"]).split()[-1]
        uid = bytes.fromhex(token).decode()
        self.sent += [(number, uid, event) for number, event in zip(numbers, events, strict=True)]
        return _response(request, 202, {"queued": len(events), "skipped": 0})

    def close(self) -> None:
        """Nothing is open."""


def _response(
    request: requests.PreparedRequest, status: int, document: object
) -> requests.Response:
    response = requests.Response()
    response.request, response.url = request, str(request.url)
    response.status_code = status
    response.headers["Content-Type"] = "application/json"
    response.raw = io.BytesIO(json.dumps(document).encode())
    return response


class Machine:
    """A client on a file, whose user changes as it likes."""

    def __init__(self, path: Path, *, is_up: bool = True) -> None:
        self.server = Server(is_up=is_up)
        self.told: list[SegOpsError] = []
        self.user = USERS[0]
        session = requests.Session()
        session.mount("https://", self.server)
        self.client = SegOpsClient(
            URL,
            "pk_fuzz",
            queue_path=path,
            http_session=session,
            on_error=self.told.append,
            flush_interval=60,
            max_retries=0,
            batch_size=BATCH_SIZE,
            get_user=lambda: UserContext(user_id=self.user),
            user_context_for=UserContext,
        )

    def track(self, event: Event) -> None:
        """Track an event as its user."""
        self.user = str(event.user_id)
        self.client.track(event)


@cache  # it is asked for more often than anything else
def event_of(number: int) -> Event:
    """The event of a number: mostly small, some large, some that SegOps refuses."""
    chance = random.Random(number)  # noqa: S311 - events that can be repeated
    size = chance.choice(_LARGE_BYTES) if number % _LARGE == 0 else chance.randrange(200)
    payload = {"n": number, "x": f"{chance.getrandbits(64):x}" * (1 + size // 16)}
    if number % _REFUSED == 0:
        payload["is_bad"] = True
    time = "2026-01-31T12:00:00+00:00"
    return Event(chance.choice(USERS), "fuzzed", occurred_at=time, payload=payload)


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


@dataclass
class Verdict:
    """How a trial ended.

    Attributes:
        started: Whether a client could be made.
        altered: Events that were sent with other bytes, or for somebody else.
        missing: Waiting events that neither arrived nor are dead letters, as they were.
        whole: Those of them whose records are whole in the damaged files.
        silent: Those of them that nobody was told of, and no counter counts.
        doubled: Events that SegOps took more often than promised.
        crashed: Commands that ended with a traceback.
        was_told: Whether `on_error` heard of damage.
        detail: What else is known.
    """

    started: bool = False
    altered: int = 0
    missing: int = 0
    whole: int = 0
    silent: int = 0
    doubled: int = 0
    crashed: int = 0
    was_told: bool = False
    detail: str = ""


def run_trial(
    place: Path,
    template: Template,
    damage: Damage,
    *,
    is_running: bool,
    has_commands: bool = False,
) -> Verdict:
    """Damage a copy of an outbox, and let clients send what is left of it.

    Args:
        place: Where to.
        template: The outbox.
        damage: What is done to its files.
        is_running: Whether a client has it open meanwhile.
        has_commands: Whether the commands that look at an outbox are tried as well.
    """
    place.mkdir()
    path = place / "outbox.db"
    for name, data in template.files.items():
        (place / name).write_bytes(data)
    fresh = {FRESH, FRESH + 1}
    machines: list[Machine] = []
    verdict = Verdict()
    try:
        if is_running:
            machines.append(Machine(path, is_up=False))
            machines[0].client.flush(5)
            spoil(place, damage)
            machines[0].server.is_up = True
            _use(machines[0], FRESH + 1)
            machines[0].client.shutdown(5)
        else:
            spoil(place, damage)
        crashes = _crashes(place) if has_commands else []
        machines.append(Machine(path))
        _use(machines[-1], FRESH)
        verdict.started = True
        _judge(verdict, place, template, machines, fresh if is_running else {FRESH})
        verdict.crashed = len(crashes)
        verdict.detail += "".join(crashes)
    except Exception as error:  # noqa: BLE001 - whatever it is, it is what the trial is about
        verdict.detail = f"{type(error).__name__}: {error}"
    return verdict


def _crashes(place: Path) -> list[str]:
    """Run commands on copies of the damaged files; return the errors that nobody caught."""
    crashes = []
    for number, command in enumerate(COMMANDS):
        copy = place / f"copy-{number}"
        copy.mkdir()
        for name in FILES:
            if (place / name).exists():
                shutil.copy(place / name, copy / name)
        options = ["--queue-path", str(copy / "outbox.db")]
        result = CliRunner().invoke(run_command, [*command, *options])
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            crashes.append(f" {command}: {result.exception!r}")
    return crashes


def _use(machine: Machine, number: int) -> None:
    machine.track(event_of(number))
    machine.client.flush(20)
    machine.client.flush(20)
    machine.client.stats()


def spoil(place: Path, damage: Damage) -> None:
    """Damage the files from a process of its own: closing a file drops SQLite's locks on it."""
    pid = os.fork()
    if not pid:
        with suppress(BaseException):
            damage(place)
            for each in ("outbox.db-wal", "outbox.db"):  # which may be gone
                shutil.copy(place / each, place / f"after.{each}")
        os._exit(0)
    os.waitpid(pid, 0)


def _judge(
    verdict: Verdict, place: Path, template: Template, machines: list[Machine], fresh: set[int]
) -> None:
    client = machines[-1].client
    sent = Counter(n for machine in machines for n, _, _ in machine.server.sent)
    verdict.altered = sum(
        not _is_right(*each) for machine in machines for each in machine.server.sent
    )
    letters = list(client.dead_letters())
    dead = {n for letter in letters if (n := _number(letter.event)) is not None}
    damaged = sum(letter.cause is Cause.DAMAGED for letter in letters)
    stats = client.stats()
    client.shutdown(20)  # a round that has sent the last event tells what it met at its end
    missing = (template.waiting | fresh) - set(sent) - dead
    left = b"".join(each.read_bytes() for each in place.glob("after.*"))
    verdict.missing = len(missing)
    verdict.whole = sum(
        bool(template.records.get(n)) and all(piece in left for piece in template.records[n])
        for n in missing
    )
    told = [error for machine in machines for error in machine.told]
    verdict.was_told = any(isinstance(error, _OF_DAMAGE) for error in told)
    counted = stats.lost_total + damaged + stats.pending
    gone = len(template.dead - dead - set(sent))
    has_vanished = bool(missing) or gone > damaged  # a damaged letter says so itself
    if has_vanished and not verdict.was_told:
        verdict.silent = max(1, len(missing))
    else:
        verdict.silent = max(0, len(missing) - counted)
    again = {n for n, count in sent.items() if count > 1} | template.accepted & set(sent)
    verdict.doubled = len(again - template.unanswered)
    verdict.detail = (
        f"missing {sorted(missing)[:9]}, lost_total {stats.lost_total}, damaged letters {damaged},"
        f" pending {stats.pending}, told "
        + str([str(error)[:300] for error in told if not isinstance(error, RefusedError)])
    )


def _is_right(number: int, uid: str, event: dict[str, Any]) -> bool:
    """Whether an event was sent as it was tracked, and as whoever it was tracked for."""
    return uid == event_of(number).user_id and _number(event) == number


def _number(event: dict[str, Any] | None) -> int | None:
    """The number of an event that is as it was tracked; None for any other."""
    payload = (event or {}).get("payload")
    number = payload.get("n") if isinstance(payload, dict) else None
    if not isinstance(number, int) or not 0 <= number <= FRESH + 1:
        return None
    # the client adds its own anonymous id
    expected = {**_sent_for(number), "anonymous_id": (event or {}).get("anonymous_id")}
    return number if event == expected else None


@cache
def _sent_for(number: int) -> dict[str, Any]:
    """What an event looks like in a request."""
    sent: dict[str, Any] = json.loads(encode_event(event_of(number)))
    return sent


def prepare(numbers: range) -> None:
    """Make the events once, for all trials: they are processes that this one forks."""
    for number in (*numbers, FRESH, FRESH + 1):
        _sent_for(number)
