"""A worker runs once, however often it is started, and interrupted."""

from __future__ import annotations

import itertools
import threading
from contextlib import suppress
from typing import TYPE_CHECKING

from segops_durable.system import worker
from segops_durable.system.worker import Worker
from support.interrupts import Interruption

if TYPE_CHECKING:
    from collections.abc import Callable

    import pytest


def test_a_worker_that_is_started_again_and_again_and_interrupted_runs_once(
    wait_until: Callable[[Callable[[], object]], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A start that was interrupted looks as if it had failed, though the thread runs."""
    monkeypatch.setattr("support.interrupts._SEEN_IN", (worker.__file__,))
    for at in itertools.count(1):
        runs: list[int] = []
        go_on = threading.Event()

        def work(runs: list[int] = runs, go_on: threading.Event = go_on) -> None:
            runs.append(threading.get_ident())
            go_on.wait(60)

        one = Worker("of-a-test", work)
        interruption = Interruption(interrupt)
        with suppress(KeyboardInterrupt):
            interruption.run(one.start, at)
        others = [threading.Thread(target=one.start) for _ in range(4)]
        for each in others:
            each.start()
        for each in others:
            each.join(60)
        one.start()
        wait_until(runs.copy)
        go_on.set()
        assert one.wait_for_end(20)
        assert len(runs) == 1, interruption.place
        if interruption.left > 0:
            return


def interrupt() -> None:
    raise KeyboardInterrupt
