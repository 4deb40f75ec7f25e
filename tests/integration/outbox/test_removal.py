"""What is removed is what was sent or exported, and nothing of another file in its place."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from segops_durable import ReplacedOutboxError
from segops_durable.outbox import Cause, Letter, Outbox, Settlement, Take
from support.outboxes import drain, events, told

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

pytestmark = pytest.mark.one_python


def replace_file(path: Path, other: Path) -> None:
    for end in ("-wal", "-shm", ""):
        here = path.with_name(path.name + end)
        if here.exists():
            here.rename(here.with_name(f"gone{end}"))
    other.replace(path)


def test_what_was_sent_takes_no_rows_of_a_file_that_took_its_place(
    open_outbox: Callable[..., Outbox], queue_path: Path, tmp_path: Path
) -> None:
    other = open_outbox(tmp_path / "other.db")
    other.commit.append(events(10, first=100))
    other.close()
    outbox = open_outbox()
    outbox.commit.append(events(10))
    batch = outbox.batches.take(Take(10)).batch
    assert batch is not None
    replace_file(queue_path, tmp_path / "other.db")
    outbox.batches.settle(Settlement(batch, 10, Letter(Cause.SKIPPED, "perhaps")), None)
    assert told(outbox) == [ReplacedOutboxError]
    assert (outbox.waiting.counts().pending, outbox.waiting.counts().accepted_total) == (10, 0)
    assert list(outbox.dead_letters) == []
    assert drain(outbox) == events(10, first=100)


def test_halving_marks_no_rows_of_a_file_that_took_its_place(
    open_outbox: Callable[..., Outbox], queue_path: Path, tmp_path: Path
) -> None:
    other = open_outbox(tmp_path / "other.db")
    other.commit.append(events(10, first=100))
    other.close()
    outbox = open_outbox()
    outbox.commit.append(events(10))
    batch = outbox.batches.take(Take(10)).batch
    assert batch is not None
    replace_file(queue_path, tmp_path / "other.db")
    following = outbox.batches.halve(batch, Take(10)).batch
    assert following is not None
    assert [row.data for row in following.rows] == events(10, first=100)


def test_what_was_exported_takes_no_rows_of_a_file_that_took_its_place(
    open_outbox: Callable[..., Outbox], queue_path: Path, tmp_path: Path
) -> None:
    other = open_outbox(tmp_path / "other.db")
    other.commit.append(events(10, first=100))
    other.close()
    outbox = open_outbox()
    outbox.commit.append(events(10))
    assert len(list(outbox.transfer.export(10))) == 10
    replace_file(queue_path, tmp_path / "other.db")
    assert outbox.transfer.remove_exported(10) == 0
    assert drain(outbox) == events(10, first=100)
