"""Damage outboxes at random, and see what becomes of them.

    python tools/fuzz_damage.py [--trials N] [--seed S] [--header-bits] [--workers N]

Bits, bytes, sectors and pages are altered, zeroed, filled with noise or cut off, in the file
or its log, after a clean stop, after a kill, or while a client runs. Then a client is made,
and sends what is left. It prints a table by kind of damage, and ends with status 1 if a
client did not start, or hung, if an event was altered, if one was lost in silence, or if
`status` or `doctor`, which are tried at every seventh outbox, crashed.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import select
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from damage.templates import Template, make_template
from damage.trials import Verdict, prepare, run_trial

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from damage.trials import Damage

_SECTOR, _PAGE, _HEADER_BYTES, _LOG_HEADER = 512, 4096, 100, 32
_SECONDS = 60.0
_KILLED, _STOPPED = 8, 3  # how many outboxes of each sort
_FIRST_PAGES = 12
_MOST_EVENTS = 450
_COMMANDS_EVERY = 7  # they take longer than the trial itself; no divisor of the kinds


@dataclass(frozen=True)
class Trial:
    """What is done to which outbox."""

    kind: str
    template: Template
    damage: Damage
    is_running: bool = False
    has_commands: bool = False


def altered(name: str, alter: Callable[[bytearray], None]) -> Damage:
    """What alters the bytes of a file in its place."""

    def damage(place: Path) -> None:
        path = place / name
        data = bytearray(path.read_bytes())
        if data:
            size = len(data)
            alter(data)
            with path.open("r+b") as file:
                file.write(data)
                file.truncate(min(size, len(data)))

    return damage


def flip_at(place: int, bit: int) -> Callable[[bytearray], None]:
    """What flips one bit."""

    def alter(data: bytearray) -> None:
        data[place % len(data)] ^= 1 << bit

    return alter


def alterations(seed: int) -> dict[str, Callable[[bytearray], None]]:
    """Every kind of alteration, at a place that the seed decides."""

    def chance() -> random.Random:
        return random.Random(seed)  # noqa: S311 - damage that can be repeated

    def flip(data: bytearray, most: int | None = None) -> None:
        dice = chance()
        flip_at(dice.randrange(min(most or len(data), len(data))), dice.randrange(8))(data)

    def flips(data: bytearray) -> None:
        dice = chance()
        for _ in range(5):
            flip_at(dice.randrange(len(data)), dice.randrange(8))(data)

    def byte(data: bytearray) -> None:
        dice = chance()
        data[dice.randrange(len(data))] = dice.randrange(256)

    def fill(data: bytearray, size: int, *, is_noise: bool) -> None:
        dice = chance()
        at = dice.randrange(-(-len(data) // size)) * size
        end = min(len(data), at + size)
        data[at:end] = dice.randbytes(end - at) if is_noise else bytes(end - at)

    def cut(data: bytearray) -> None:
        del data[chance().randrange(len(data)) :]

    return {
        "bit": flip,
        "bit near the start": lambda data: flip(data, _FIRST_PAGES * _PAGE),
        "bit in the header": lambda data: flip(data, _HEADER_BYTES),
        "five bits": flips,
        "byte": byte,
        "sector zeroed": lambda data: fill(data, _SECTOR, is_noise=False),
        "sector of noise": lambda data: fill(data, _SECTOR, is_noise=True),
        "page zeroed": lambda data: fill(data, _PAGE, is_noise=False),
        "page of noise": lambda data: fill(data, _PAGE, is_noise=True),
        "cut": cut,
        "emptied": lambda data: data.clear(),
    }


def deleted(place: Path) -> None:
    """The file is gone; its log, if it has one, is left."""
    (place / "outbox.db").unlink()


def random_trials(templates: list[Template], seed: int, count: int) -> Iterator[Trial]:
    """Trials of all kinds in turn."""
    dice = random.Random(seed)  # noqa: S311 - trials that can be repeated
    kinds = [*alterations(0), "deleted"]
    for number in range(count):
        kind = kinds[number % len(kinds)]
        template = dice.choice(templates)
        names = [name for name in template.files if not name.endswith(".lock")]
        name = dice.choice(names)
        is_running = not dice.randrange(4)
        if is_running and name.endswith("-wal") is False:
            name = dice.choice(["outbox.db", "outbox.db-wal"])
        seed_of_kind = dice.getrandbits(32)
        damage: Damage
        if kind == "deleted":
            name, damage = "outbox.db", deleted
        else:
            damage = altered(name, alterations(seed_of_kind)[kind])
        what = "log" if name.endswith("-wal") else "file"
        when = "running" if is_running else template.name
        has_commands = number % _COMMANDS_EVERY == 0
        yield Trial(f"{what}, {kind}, {when}", template, damage, is_running, has_commands)


def header_trials(templates: list[Template]) -> Iterator[Trial]:
    """Every bit of the header of an outbox that was stopped well."""
    template = next(each for each in templates if each.name == "stopped")
    for bit in range(8 * _HEADER_BYTES):
        alter = flip_at(bit // 8, bit % 8)
        yield Trial(f"header, byte {bit // 8}", template, altered("outbox.db", alter))


class Runner:
    """Runs each trial in a process of its own, some at a time, and ends those that hang.

    Args:
        place: A directory, best in memory.
        workers: How many at a time.
    """

    def __init__(self, place: Path, workers: int) -> None:
        self._place = place
        self._workers = workers
        self._running: dict[int, tuple[Trial, int, float, Path]] = {}

    def run(self, trials: Iterator[Trial]) -> Iterator[tuple[Trial, Verdict | None]]:
        """Yield each trial with its verdict; None if it hung."""
        count = 0
        waiting = True
        while waiting or self._running:
            while waiting and len(self._running) < self._workers:
                trial = next(trials, None)
                if trial is None:
                    waiting = False
                    break
                count += 1
                self._start(trial, self._place / str(count))
            yield from self._finished()

    def _start(self, trial: Trial, place: Path) -> None:
        reading, writing = os.pipe()
        pid = os.fork()
        if not pid:
            os.close(reading)
            quiet = os.open(os.devnull, os.O_WRONLY)
            os.dup2(quiet, 2)
            verdict = run_trial(
                place,
                trial.template,
                trial.damage,
                is_running=trial.is_running,
                has_commands=trial.has_commands,
            )
            os.write(writing, json.dumps(asdict(verdict)).encode()[:60_000])
            os._exit(0)
        os.close(writing)
        self._running[reading] = (trial, pid, time.monotonic() + _SECONDS, place)

    def _finished(self) -> Iterator[tuple[Trial, Verdict | None]]:
        ready, _, _ = select.select(list(self._running), [], [], 1.0)
        late = [fd for fd, (_, _, end, _) in self._running.items() if time.monotonic() > end]
        for fd in {*ready, *late}:
            trial, pid, _, place = self._running.pop(fd)
            text = os.read(fd, 1 << 16) if fd in ready else b""
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            os.close(fd)
            shutil.rmtree(place, ignore_errors=True)
            yield trial, Verdict(**json.loads(text)) if text else None


@dataclass
class Row:
    """A line of the table."""

    trials: int = 0
    counts: Counter[str] = field(default_factory=Counter)

    def add(self, verdict: Verdict | None) -> None:
        """Count a verdict."""
        self.trials += 1
        for name in failures(verdict):
            self.counts[name] += 1
        if verdict is not None:
            for name in ("was_told", "missing", "whole", "doubled"):
                self.counts[name] += bool(getattr(verdict, name))


_BAD = ("no start", "hang", "altered", "silent", "crashed")
COLUMNS = (*_BAD, "was_told", "missing", "whole", "doubled")


def failures(verdict: Verdict | None) -> list[str]:
    """What a verdict has that must not be."""
    if verdict is None:
        return ["hang"]
    if not verdict.started:
        return ["no start"]
    return [name for name in ("altered", "silent", "crashed") if getattr(verdict, name)]


def main(arguments: list[str]) -> int:
    """Run the trials and print the table; 1 if anything failed."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--trials", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--header-bits", action="store_true", help="Each of the 800 bits.")
    parser.add_argument("--details", action="store_true", help="Say what failed.")
    chosen = parser.parse_args(arguments)
    memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None  # noqa: S108 - in memory
    prepare(range(_MOST_EVENTS))
    with tempfile.TemporaryDirectory(prefix="segops-fuzz-", dir=memory) as directory:
        place = Path(directory)
        templates = all_templates(place, chosen.seed)
        trials = (
            header_trials(templates)
            if chosen.header_bits
            else random_trials(templates, chosen.seed, chosen.trials)
        )
        return report(Runner(place, chosen.workers).run(trials), has_details=chosen.details)


def all_templates(place: Path, seed: int) -> list[Template]:
    """Outboxes that were stopped well, and such that were killed."""
    return [
        make_template(
            place / f"template-{number}",
            "killed" if number < _KILLED else "stopped",
            1000 * seed + number,
            is_killed=number < _KILLED,
        )
        for number in range(_KILLED + _STOPPED)
    ]


def report(results: Iterator[tuple[Trial, Verdict | None]], *, has_details: bool) -> int:
    """Print the table; 1 if anything failed."""
    rows: dict[str, Row] = {}
    total = Row()
    start = time.monotonic()
    for trial, verdict in results:
        kind = trial.kind.partition(", byte ")[0]
        rows.setdefault(kind, Row()).add(verdict)
        total.add(verdict)
        if has_details and (failures(verdict) or (verdict and (verdict.whole or verdict.doubled))):
            print(trial.kind, failures(verdict), verdict, flush=True)
    print(f"{'damage':42}{'trials':>8}" + "".join(f"{name:>10}" for name in COLUMNS))
    for kind, row in [*sorted(rows.items()), ("all", total)]:
        print(f"{kind:42}{row.trials:8}" + "".join(f"{row.counts[name]:10}" for name in COLUMNS))
    print(f"{total.trials / (time.monotonic() - start):.1f} trials a second")
    return int(any(total.counts[name] for name in _BAD))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
