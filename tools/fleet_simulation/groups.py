"""The groups of a fleet: one here, or each in a process of its own."""

from __future__ import annotations

import gc
import math
import multiprocessing
import os
import traceback
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Protocol

from _lifetime import end_with_the_tool

from fleet_simulation.group import Group, Progress

if TYPE_CHECKING:
    from collections.abc import Sequence
    from multiprocessing.connection import Connection
    from pathlib import Path

    from fleet_simulation.scenario import Scenario, Variant
    from fleet_simulation.wire import Answer

MOST_DEVICES = 500
"""Of a process: each has seven files open, and the more there are, the longer one more takes."""

_WORTH_A_PROCESS = 100
_FILES = 8
_OTHER_FILES = 100
_DAY = 86_400.0


class SimulationError(Exception):
    """A process of the simulation failed; the text says how."""


class Part(Protocol):
    """A group, wherever it is."""

    def ask(self, until: float, answers: Sequence[Answer]) -> None:
        """Have it go on, up to a time."""

    def hear(self) -> Progress:
        """Wait for what came of it."""

    def close(self) -> int:
        """Close it; say how many events were not delivered."""


class Here:
    """A group in this process.

    Args:
        group: The group.
    """

    def __init__(self, group: Group) -> None:
        self._group = group
        self._progress: Progress | None = None

    def ask(self, until: float, answers: Sequence[Answer]) -> None:
        """Have it go on, up to a time."""
        self._progress = self._group.run(until, answers)

    def hear(self) -> Progress:
        """What came of it.

        Raises:
            SimulationError: It was not asked.
        """
        progress, self._progress = self._progress, None
        if progress is None:
            raise SimulationError("nobody has asked")
        return progress

    def close(self) -> int:
        """Close it; say how many events were not delivered."""
        return self._group.close()


class Elsewhere:
    """A group in a process of its own.

    Args:
        arguments: Of the group.
    """

    def __init__(self, *arguments: Any) -> None:  # noqa: ANN401 - as `Group` has them
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(theirs, arguments), daemon=True)
        self._process.start()
        theirs.close()

    def ask(self, until: float, answers: Sequence[Answer]) -> None:
        """Have it go on, up to a time."""
        self._pipe.send((until, answers))

    def hear(self) -> Progress:
        """Wait for what came of it."""
        found: Progress = self._receive()
        return found

    def close(self) -> int:
        """End the process; say how many events were not delivered."""
        self._pipe.send(None)
        left: int = self._receive()
        self._process.join()
        return left

    def kill(self) -> None:
        """End the process, whatever it does."""
        self._process.kill()
        self._process.join()

    def _receive(self) -> Any:  # noqa: ANN401 - whatever it sends
        try:
            found = self._pipe.recv()
        except EOFError:
            raise SimulationError("a process of the simulation has ended") from None
        if isinstance(found, str):
            raise SimulationError(found)
        return found


def open_groups(
    scenario: Scenario, variant: Variant, home: Path, processes: int | None
) -> list[Part]:
    """Make the fleet.

    Args:
        scenario: What has happened to it.
        variant: How its clients are set up.
        home: A directory for its files.
        processes: How many; None for as many as it takes. With one it is this one.
    """
    count = processes or processes_for(scenario.devices)
    _allow_files(math.ceil(scenario.devices / count) * _FILES + _OTHER_FILES)
    parts = [
        (range(scenario.devices)[each::count], home, scenario, variant) for each in range(count)
    ]
    if count == 1:
        return [Here(Group(*parts[0]))]
    return [Elsewhere(*each) for each in parts]


def processes_for(devices: int) -> int:
    """How many processes it takes, and is worth."""
    worth = min(os.cpu_count() or 1, devices // _WORTH_A_PROCESS)
    return max(1, worth, math.ceil(devices / MOST_DEVICES))


def _allow_files(wanted: int) -> None:
    """Let this process, and those that it starts, open so many files, as far as may be."""
    with suppress(ImportError, OSError, ValueError):
        import resource  # noqa: PLC0415 - there is none on Windows

        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        most = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        if soft != resource.RLIM_INFINITY and soft < most:
            resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))


def _serve(pipe: Connection, arguments: tuple[Any, ...]) -> None:
    end_with_the_tool()
    try:
        group = Group(*arguments)
        gc.freeze()  # a collection would look at all the devices, which stay
        while (step := pipe.recv()) is not None:
            pipe.send(group.run(*step))
        pipe.send(group.close())
    except EOFError:
        return
    except BaseException:  # noqa: BLE001 - whatever it is, whoever has started it is to know
        pipe.send(traceback.format_exc())
