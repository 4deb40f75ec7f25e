"""A part of the fleet, in one process: its devices take turns."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from fleet_simulation.device import Device
from fleet_simulation.loop import Loop, Turn

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from fleet_simulation.scenario import Scenario, Variant
    from fleet_simulation.wire import Answer, Request


class Progress(NamedTuple):
    """What came of a step.

    Attributes:
        requests: What has left in it.
        next_at: When the next device goes on; None if none waits for a time.
    """

    requests: list[Request]
    next_at: float | None


class Group:
    """Some of the devices.

    Args:
        numbers: Which ones.
        home: A directory for their files.
        scenario: What has happened.
        variant: How their clients are set up.
    """

    def __init__(
        self, numbers: Sequence[int], home: Path, scenario: Scenario, variant: Variant
    ) -> None:
        self._loop = Loop()
        self._requests: list[Request] = []
        self._awaiting: dict[int, Turn] = {}
        self._devices = [
            Device(
                each,
                self._loop,
                home / str(each),
                scenario=scenario,
                variant=variant,
                send_off=self._send_off,
            )
            for each in numbers
        ]

    def run(self, until: float, answers: Sequence[Answer]) -> Progress:
        """Let the devices go on, up to a time.

        Args:
            until: What is to happen then, or later, waits.
            answers: Those that are on their way to them.
        """
        for answer in answers:
            self._loop.wake(self._awaiting.pop(answer.device), answer.at, answer)
        self._loop.run(until)
        requests, self._requests = self._requests, []
        return Progress(requests, self._loop.next_at)

    def close(self) -> int:
        """Close what is left of it; say how many events were not delivered."""
        left = 0
        for device in self._devices:
            left += device.left
            if not device.turn.dead:
                device.close()
        return left

    def _send_off(self, request: Request, turn: Turn) -> None:
        self._requests.append(request)
        self._awaiting[request.device] = turn
