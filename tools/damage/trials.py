"""One trial of `fuzz_damage.py`: an outbox is damaged, and a client makes the best of it."""

from __future__ import annotations

import json
import os
import shutil
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from click.testing import CliRunner

from damage.machine import Machine, event_of
from damage.templates import FILES, Template
from segops_durable.cli.commands import run as run_command
from segops_durable.errors import (
    DamagedEventError,
    DamagedOutboxError,
    RefusedError,
    ReplacedOutboxError,
    StorageError,
)
from segops_durable.events import encode_event
from segops_durable.outbox import Cause
from segops_durable.outbox.records import origin

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Damage = Callable[[Path], None]

origin._KEEP_INODES.clear()  # noqa: SLF001 - all outboxes here are copies, and are no news

FRESH = 1_000_001
COMMANDS = (
    ["status"],
    ["doctor", "--offline"],
    ["doctor", "--offline", "--repair"],
    ["dead", "list"],
)
_OF_DAMAGE = (DamagedOutboxError, DamagedEventError, ReplacedOutboxError, StorageError)


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
