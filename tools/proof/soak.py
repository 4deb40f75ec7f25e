"""Let everything go wrong at random for as long as is wanted, and count what is lost.

Several processes with several threads each track into one outbox, beside other outboxes. At random
they are killed, ended, stopped and started; the server goes away and comes back, answers 500, 503,
429 and 413, loses answers and requests, drips, and refuses some events for good (400); the disk is
full, or fails, for a while; and the clock is set by up to a year. At the end all goes well again,
and a last client sends what is left. Then every event whose `track` had returned must have arrived
as it was tracked, or be a dead letter if it was refused; duplicates are a batch for each end of a
process and each answer that was not heard; and no key may have come with two bodies.

The disk and the clock are those of the processes alone: small libraries (`diskfault.c`,
`clockshift.c`), loaded before libc. They need Linux, a C compiler, and for the clock Python 3.11,
whose waits do not ask for the time of day; without them it says so, and goes on without.
"""

from __future__ import annotations

import errno
import os
import random
import signal
import sys
import threading
import time
from collections import Counter
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from proof.lane import Lane, Place, parser_of, run_lanes, seed_of, temporary_home
from proof.life import BATCH, Life, prepare_to_fork
from proof.recorder import Recorder
from proof.shims import CLOCK, build
from proof.weather import Weather

if TYPE_CHECKING:
    import argparse

    from proof.judge import Findings

_PROCESSES = 3
_DISK_ERRORS = (errno.ENOSPC, errno.ENOSPC, errno.EIO, errno.EDQUOT)
_MOST_AHEAD = 365 * 86_400
_SECONDS_A_STEP = (0.0, 0.3)
_PAUSE = threading.Event()
"""It is never set: to wait on it is to wait."""


class SoakLane(Lane):
    """A lane where everything goes wrong.

    Args:
        place: Where, and what decides.
    """

    refuses = True

    def __init__(self, place: Place) -> None:
        self._weather = Weather(random.Random(place.chance.random()))  # noqa: S311 - it can be repeated
        super().__init__(place, Recorder(place.requests, self._weather.react))
        self._chance = place.chance
        self._is_up = True
        self.happened: Counter[str] = Counter()

    def run(self, steps: int, deadline: float) -> Findings:
        """Have things go wrong, then well; and judge."""
        doings = {
            self._kill: 6,
            self._end: 1,
            self._stop_for_a_while: 1,
            self._change_server: 3,
            self._change_weather: 4,
            self._change_disk: 2,
            self._change_clock: 1,
        }
        with self.recorder:
            while self.happened.total() < steps and time.monotonic() < deadline:
                self.fill(_PROCESSES)
                doing = self._chance.choices(list(doings), list(doings.values()))[0]
                self.happened[doing()] += 1
                _PAUSE.wait(self._chance.uniform(*_SECONDS_A_STEP))
            return self._finish()

    def _finish(self) -> Findings:
        life = self.life()
        life.failing.unlink(missing_ok=True)
        life.ahead.unlink(missing_ok=True)
        self._weather.clear()
        if not self._is_up:
            self.recorder.start()
        while self.lives:
            self.happened[self._kill()] += 1
        found = self.judge(self._allowed)
        if life.refusals.exists():
            self.happened["track raised, as the disk failed"] = life.refusals.stat().st_size
        self.happened.update({f"answer: {mood}": n for mood, n in self._weather.met.items()})
        return found

    def _allowed(self) -> int:
        # who ends in time may leave a request behind as well
        ends = self.happened["killed"] + self.happened["ended"]
        max_in_flight: int = self.place.options.max_in_flight
        return (ends * max_in_flight + self.recorder.unheard) * BATCH

    def life(self) -> Life:
        """What the next process is told: how much it does, and how the disk fails."""
        return replace(
            super().life(),
            threads=self._chance.randrange(1, 4),
            seconds_between=self._chance.choice((0.002, 0.01, 0.05)),
            disk_error=self._chance.choice(_DISK_ERRORS),
        )

    def _kill(self) -> str:
        victim = self.take()
        victim.kill()
        victim.join()
        return "killed"

    def _end(self) -> str:
        """End one as a program ends; one that does not within a few seconds is killed."""
        process = self.take()
        process.terminate()
        process.join(self._chance.uniform(0.5, 5))
        if process.exitcode is None:
            process.kill()
            process.join()
            return "killed"
        return "ended"

    def _stop_for_a_while(self) -> str:
        with suppress(ProcessLookupError):
            process = self._chance.choice(self.lives)
            os.kill(process.pid or 0, signal.SIGSTOP)
            _PAUSE.wait(self._chance.uniform(0, 1))
            os.kill(process.pid or 0, signal.SIGCONT)
        return "stopped for a while"

    def _change_server(self) -> str:
        self._is_up = not self._is_up
        if self._is_up:
            self.recorder.start()
            return "server came back"
        self.recorder.stop()
        return "server went away"

    def _change_weather(self) -> str:
        self._weather.badness = self._chance.choice((0.0, 0.1, 0.4, 0.8))
        self._weather.is_narrow = self._chance.random() < 0.2  # noqa: PLR2004 - one time in five
        return "moods changed"

    def _change_disk(self) -> str:
        failing = self.life().failing
        if failing.exists():
            failing.unlink()
            return "disk was well again"
        failing.touch()
        return "disk began to fail"

    def _change_clock(self) -> str:
        path = self.life().ahead
        ahead = self._chance.choice((0, self._chance.randrange(-_MOST_AHEAD, _MOST_AHEAD)))
        path.with_suffix(".new").write_text(str(ahead))
        path.with_suffix(".new").replace(path)
        return "clock was set"


def _load_faults(directory: Path) -> list[str]:
    """Have the disk and the clock of each life be ours; return what that cannot be had for."""
    missing = []
    disk = build(directory)
    clock = build(directory, CLOCK) if sys.version_info >= (3, 11) else None
    if disk is None:
        missing.append("no full disks: they need Linux and a C compiler")
    if clock is None:
        missing.append("no wrong clocks: they need Linux, a C compiler and Python 3.11")
    found = [os.environ.get("LD_PRELOAD", ""), *(str(each) for each in (disk, clock) if each)]
    os.environ["LD_PRELOAD"] = " ".join(each for each in found if each)
    return missing


def run(options: argparse.Namespace, seed: int) -> int:
    """Let the lanes run; print what came of it, and return the status."""
    start = time.monotonic()
    steps = sys.maxsize if options.steps is None else options.steps
    with temporary_home("soak", options) as home:
        for each in _load_faults(Path(home)):
            print(each)
        prepare_to_fork()
        deadline = start + options.minutes * 60
        lanes, (found, problems) = run_lanes(
            Path(home), options, seed, SoakLane, lambda lane: lane.run(steps, deadline)
        )
    happened: Counter[str] = sum((lane.happened for lane in lanes), Counter())
    print(*(f"{count:9,} {what}" for what, count in sorted(happened.items())), sep="\n")
    print(f"{found.arrived:,} events arrived, {found.refused:,} were refused and are kept")
    took = (time.monotonic() - start) / 60
    line, status = found.verdict(
        f"{took:.1f} minutes, {happened['killed']:,} kills, seed {seed}", problems
    )
    print(line)
    return status


def main(arguments: list[str]) -> int:
    """Read the options and run."""
    parser = parser_of("soak.py", __doc__, lanes=2)
    parser.add_argument("--minutes", type=float, default=5, help="at most (%(default)s)")
    parser.add_argument("--steps", type=int, help="things that go wrong with each outbox, at most")
    options = parser.parse_args(arguments)
    if min(options.lanes, options.max_in_flight) < 1:
        parser.error("--lanes and --max-in-flight must be at least 1")
    return run(options, seed_of(options))
