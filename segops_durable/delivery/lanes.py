"""Threads that each send one batch at a time, over a connection of their own.

They decide nothing, and touch no file but to ask whether a batch is still whole: what becomes
of a batch is decided, told and written down on the one thread that gave it to them.
"""

from __future__ import annotations

from dataclasses import dataclass
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING

from segops_durable.system.worker import Worker

if TYPE_CHECKING:
    import threading
    from collections.abc import Sequence

    from segops_durable.delivery.attempt import Attempt
    from segops_durable.delivery.outcome import Outcome
    from segops_durable.outbox import Batch

_LOOK_SECONDS = 0.1
"""Between two looks whether all is to stop, while requests are under way."""


@dataclass(frozen=True)
class Made:
    """What came of a batch: how it fared, or what was raised before it was sent."""

    batch: Batch
    outcome: Outcome | None
    error: BaseException | None = None


class _Lane:
    """One of the threads; it runs from the first batch on, until it is closed."""

    def __init__(
        self, number: int, attempt: Attempt, made: SimpleQueue[tuple[_Lane, Made]]
    ) -> None:
        self._name = f"segops-lane-{number}"
        self._attempt = attempt
        self._made = made
        self._jobs: SimpleQueue[tuple[Batch, int] | None] = SimpleQueue()
        self._worker: Worker | None = None

    def send(self, batch: Batch, max_retries: int) -> None:
        if self._worker is None:
            worker = Worker(self._name, self._run)
            try:
                worker.start()
            except RuntimeError:  # no thread is to be had: then it is sent on this one
                self._make(batch, max_retries)
                return
            self._worker = worker
        self._jobs.put((batch, max_retries))

    def close(self) -> None:
        if self._worker is not None:
            self._jobs.put(None)
            self._worker = None

    def _run(self) -> None:
        while (job := self._jobs.get()) is not None:
            self._make(*job)

    def _make(self, batch: Batch, max_retries: int) -> None:
        try:
            made = Made(batch, self._attempt.make(batch, max_retries))
        except BaseException as error:  # noqa: BLE001 - raised again where the round is
            made = Made(batch, None, error)
        self._made.put((self, made))


class Lanes:
    """The lanes, for the one thread that gives them batches.

    Args:
        attempts: What each of them sends with.
        halt: Set to have no further request begin, and to end the waits between retries.
        stop: Whoever sets it wants the same.
    """

    def __init__(
        self, attempts: Sequence[Attempt], halt: threading.Event, stop: threading.Event
    ) -> None:
        self._made: SimpleQueue[tuple[_Lane, Made]] = SimpleQueue()
        self._all = [_Lane(number, each, self._made) for number, each in enumerate(attempts, 1)]
        self._free = list(self._all)
        self._halt = halt
        self._stop = stop

    @property
    def busy(self) -> int:
        """How many batches are on their way."""
        return len(self._all) - len(self._free)

    @property
    def free(self) -> int:
        """How many more can be sent now."""
        return len(self._free)

    def begin(self) -> None:
        """Let requests be made."""
        self._halt.clear()

    def halt(self) -> None:
        """Let none begin any more; those under way come to their end."""
        self._halt.set()

    def send(self, batch: Batch, max_retries: int) -> None:
        """Have a batch sent; one has to be free."""
        lane = self._free.pop()
        try:
            lane.send(batch, max_retries)
        except BaseException:  # or it would be waited for, for ever
            self._free.append(lane)
            raise

    def wait(self) -> list[Made]:
        """What came of the batches that are back, one at least; nothing if none is on its way."""
        found: list[Made] = []
        while self.busy:
            if self._stop.is_set():
                self.halt()
            try:
                lane, made = self._made.get(block=not found, timeout=_LOOK_SECONDS)
            except Empty:
                if found:
                    break
                continue
            self._free.append(lane)
            found.append(made)
        return found

    def close(self) -> None:
        """End the threads, once they are back; the next batch would start them again."""
        for each in self._all:
            each.close()
