from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from segops_durable import MendedOutboxError
from segops_durable.outbox import Cause, Checkpoint, Letter, Outbox, Place, Settlement, Take
from support.commands import Commands
from support.outboxes import drain, events, spoil, told

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

pytestmark = pytest.mark.one_python
NOWHERE = "http://127.0.0.1:9"


@pytest.mark.parametrize("number", [-5, 0, 1 << 62, (1 << 63) - 1, -(1 << 63)])
def test_a_row_whose_number_was_never_given_is_sent_once_and_blocks_nothing(
    open_outbox: Callable[..., Outbox], queue_path: Path, number: int
) -> None:
    outbox = open_outbox()
    outbox.commit.append(events(3))
    outbox.close()
    spoil(queue_path, f"UPDATE queue_outbox SET _id = {number} WHERE _id = 2")
    outbox = open_outbox()
    outbox.commit.append(events(1, first=3))
    assert outbox.waiting.counts().pending == 4
    assert sorted(drain(outbox)) == events(4)
    assert MendedOutboxError in told(outbox)


def test_a_person_can_give_up_what_nothing_says_any_more(
    open_outbox: Callable[..., Outbox], queue_path: Path, tmp_path: Path
) -> None:
    commands = Commands(tmp_path, NOWHERE)
    commands.queue_path = queue_path
    outbox, source = open_outbox(), open_outbox(tmp_path / "source.db")
    source.commit.append(events(3))
    outbox.commit.append(events(1), checkpoint=Checkpoint("job", 1))
    outbox.commit.append(events(1), checkpoint=Checkpoint("other", 1))
    outbox.transfer.load(list(source.transfer.export(3)), Place())
    batch = outbox.batches.take(Take(1)).batch
    assert batch is not None
    outbox.batches.settle(Settlement(batch, 0, Letter(Cause.REFUSED, "so")), None)
    outbox.close()
    spoil(queue_path, "UPDATE checkpoints SET seal = 0 WHERE name = 'job'")
    spoil(queue_path, "UPDATE carried SET seal = 0")
    spoil(queue_path, "UPDATE dead_letters SET seal = 0")
    where = ["--queue-path", str(queue_path)]
    text = commands("doctor", "--offline", *where, status=1).output
    assert "failed  damaged checkpoints: job" in text
    assert "failed  damaged notes of loads" in text
    assert "note    damaged dead letters: 1" in text
    assert (
        "job was given up: it begins anew"
        in commands("doctor", "--repair", "--offline", *where).output
    )
    outbox = open_outbox()
    assert (outbox.checkpoints.position("job"), outbox.checkpoints.position("other")) == (None, 1)
    assert outbox.transfer.load(list(source.transfer.export(3)), Place()).loaded == 3
