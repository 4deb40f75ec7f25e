"""A lane: an outbox, its server, and the processes that come and go. Several run side by side."""

from __future__ import annotations

import argparse
import multiprocessing
import random
import tempfile
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from proof.judge import Findings, judge
from proof.life import MUTANTS, Life, drain, live, open_client, troubles_below
from proof.recorder import read

if TYPE_CHECKING:
    from collections.abc import Callable
    from multiprocessing.process import BaseProcess
    from pathlib import Path

    from proof.recorder import Recorder


class Place(NamedTuple):
    """What a lane is given.

    Attributes:
        number: Which lane.
        home: Where its files are.
        chance: What decides.
        options: Of the command.
    """

    number: int
    home: Path
    chance: random.Random
    options: argparse.Namespace

    @property
    def requests(self) -> Path:
        """Where the lane's server writes down what came."""
        return self.home / "requests"


class Lane:
    """One outbox, and what shares it.

    Args:
        place: Where, and what decides.
        recorder: Its server.
    """

    refuses = False
    """Whether the server refuses events for good, so that there may be dead letters."""

    def __init__(self, place: Place, recorder: Recorder) -> None:
        self.place = place
        self.recorder = recorder
        self.lives: list[BaseProcess] = []
        self._born = 0

    def life(self) -> Life:
        """What the next process is told."""
        number, home, _, options = self.place
        return Life(
            self.recorder.url,
            home,
            f"{number}-{self._born}",
            mutant=options.mutant,
            max_in_flight=options.max_in_flight,
        )

    def fill(self, processes: int) -> None:
        """Start processes until so many are there."""
        context = multiprocessing.get_context("forkserver")
        while len(self.lives) < processes:
            self._born += 1
            process = context.Process(target=live, args=(self.life(),))
            process.start()
            self.lives.append(process)

    def take(self) -> BaseProcess:
        """Take one of the processes, by chance; the others stay."""
        return self.lives.pop(self.place.chance.randrange(len(self.lives)))

    def judge(self, allowed: Callable[[], int]) -> Findings:
        """Send what is left, with a client as it is, and judge.

        Args:
            allowed: Says how many duplicates there may be, once all is sent.
        """
        life = Life(self.recorder.url, self.place.home, "none")
        client = open_client(life)
        waiting = drain(client)
        dead = [letter.event for letter in client.dead_letters()] if self.refuses else []
        client.shutdown()
        acknowledged = life.notes.read_text(encoding="ascii").split() if life.notes.exists() else []
        return judge(acknowledged, read(self.place.requests), allowed(), dead, waiting)


LaneT = TypeVar("LaneT", bound=Lane)


class Outcome(NamedTuple):
    """What came of all lanes.

    Attributes:
        found: What became of the events.
        problems: What else must not be.
    """

    found: Findings
    problems: list[str]


def run_lanes(
    home: Path,
    options: argparse.Namespace,
    seed: int,
    make: Callable[[Place], LaneT],
    run: Callable[[LaneT], Findings],
) -> tuple[list[LaneT], Outcome]:
    """Run the lanes side by side.

    Args:
        home: The directory for all of them.
        options: Of the command.
        seed: Of what is decided by chance.
        make: Makes a lane.
        run: Runs it, and judges.
    """
    lanes = []
    for number in range(options.lanes):
        place = home / str(number)
        place.mkdir()
        chance = random.Random(f"{seed}-{number}")  # noqa: S311 - it can be repeated
        lanes.append(make(Place(number, place, chance, options)))
    with ThreadPoolExecutor(len(lanes)) as pool:
        found = sum(pool.map(run, lanes), Findings())
    troubles = troubles_below(home)
    problems = [f"{len(troubles)} troubles in a life: {troubles[0]}"] if troubles else []
    return lanes, Outcome(found, problems)


def temporary_home(name: str, options: argparse.Namespace) -> tempfile.TemporaryDirectory[str]:
    """A directory for the lanes, on the disk that was chosen."""
    return tempfile.TemporaryDirectory(prefix=f"segops-{name}-", dir=options.directory)


def parser_of(name: str, about: str | None, lanes: int) -> argparse.ArgumentParser:
    """A parser with the options that all have who run lanes.

    Args:
        name: Of the command.
        about: What it does.
        lanes: How many there are unless somebody says so.
    """
    parser = argparse.ArgumentParser(
        prog=name,
        description=about,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="Status 0: nothing was lost. 1: something was, or it could not be shown.",
    )
    parser.add_argument("--seed", type=int, help="of what is decided by chance (a new one)")
    parser.add_argument("--lanes", type=int, default=lanes, help="outboxes at a time (%(default)s)")
    parser.add_argument(
        "--max-in-flight",
        type=int,
        default=1,
        metavar="N",
        help="batches that a client may send at once, and a kill repeat (%(default)s)",
    )
    parser.add_argument("--directory", help="where the outboxes go: the disk to try")
    parser.add_argument(
        "--mutant", choices=MUTANTS, default="", help="a client that loses: see it found"
    )
    return parser


def seed_of(options: argparse.Namespace) -> int:
    """The seed that was given, or a new one; it is printed."""
    seed = random.randrange(2**32) if options.seed is None else options.seed  # noqa: S311 - no secret
    print(f"seed {seed}", flush=True)
    return int(seed)
