"""Who waits at the gate while the outbox closes is refused, and does not hang."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from segops_durable import ClosedError
from support.outboxes import events

if TYPE_CHECKING:
    from collections.abc import Callable

    from segops_durable.outbox import Outbox


def test_a_thread_that_waits_at_the_gate_while_it_closes_is_refused(
    open_outbox: Callable[..., Outbox],
) -> None:
    outbox = open_outbox()
    outcome: list[Exception] = []

    def append() -> None:
        try:
            outbox.commit.append(events(1))
        except ClosedError as error:
            outcome.append(error)

    waiting = threading.Thread(target=append)

    def close_while_it_waits() -> None:
        waiting.start()
        while outbox.commit._open_group is None:  # until it leads a group, and so waits here
            continue
        outbox._store._close()

    outbox._store.gate.run(close_while_it_waits)
    waiting.join(60)
    assert len(outcome) == 1
