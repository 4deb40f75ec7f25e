"""Notes of jobs, of files and of the outbox: damaged ones are told of, never believed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from segops_durable import DamagedCheckpointError, MendedOutboxError, StorageError
from segops_durable.outbox import Checkpoint, Outbox, Place
from support.outboxes import drain, events, spoil, told

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

pytestmark = pytest.mark.one_python


@pytest.mark.parametrize(
    "damage",
    [
        "position = '2'",
        "position = 'no JSON'",
        "position = x'ff'",
        "name = 'jop'",
        "name = CAST(x'ff' AS TEXT)",
        "at = 0.5",
    ],
)
def test_a_job_whose_place_is_damaged_is_told_so_and_never_begins_anew(
    open_outbox: Callable[..., Outbox], queue_path: Path, damage: str
) -> None:
    outbox = open_outbox()
    outbox.commit.append(events(2), checkpoint=Checkpoint("job", 1))
    outbox.commit.append(events(2), checkpoint=Checkpoint("other", 1))
    spoil(queue_path, f"UPDATE checkpoints SET {damage} WHERE name = 'job'")
    with pytest.raises(DamagedCheckpointError, match="track_many"):
        outbox.checkpoints.position("job")
    with pytest.raises(DamagedCheckpointError):
        outbox.commit.append(events(2), checkpoint=Checkpoint("job", 2, follows=1))
    assert outbox.waiting.counts().pending == 4
    assert outbox.checkpoints.position("other") == 1
    outbox.commit.append([], checkpoint=Checkpoint("job", 7))  # the user has found out, and says so
    assert outbox.checkpoints.position("job") == 7


@pytest.mark.parametrize(
    "damage",
    ["first_id = 3", "last_id = 1", "last_id = 9e18", "source = 'x'", "source = x'ff'", "seal = 0"],
)
def test_a_file_is_not_loaded_where_it_cannot_be_said_what_was_loaded_before(
    open_outbox: Callable[..., Outbox], queue_path: Path, tmp_path: Path, damage: str
) -> None:
    source, target = open_outbox(tmp_path / "source.db"), open_outbox()
    source.commit.append(events(3))
    lines = list(source.transfer.export(3))
    assert target.transfer.load(lines, Place()).loaded == 3
    spoil(queue_path, f"UPDATE carried SET {damage}")
    with pytest.raises(StorageError, match="loaded before is damaged"):
        target.transfer.load(lines, Place())
    assert target.waiting.counts().pending == 3


@pytest.mark.parametrize("name", ["uuid", "api_url", "key", "anonymous_id", "retry_at", "schema"])
@pytest.mark.parametrize("damage", ["value = 'x'", "value = x'ff'", "name = 'x'", "seal = 0"])
@pytest.mark.parametrize("is_running", [False, True])
def test_a_damaged_note_is_made_anew_and_told_of(
    open_outbox: Callable[..., Outbox], queue_path: Path, name: str, damage: str, is_running: bool
) -> None:
    outbox = open_outbox()
    outbox.commit.append(events(3))
    outbox.keep_order(600.0, 30.0)
    visitor = outbox.owner.anonymous_id()
    if not is_running:
        outbox.close()
    spoil(queue_path, f"UPDATE meta SET {damage} WHERE name = '{name}'")
    outbox = outbox if is_running else open_outbox()
    assert 0.0 <= outbox.order_left().seconds <= 600.0
    assert (outbox.owner.anonymous_id() == visitor) == (name != "anonymous_id")
    outbox.look_after()
    assert told(outbox) == [MendedOutboxError]
    assert drain(outbox) == events(3)
    outbox.close()
    outbox = open_outbox()
    assert (told(outbox), outbox.waiting.counts().accepted_total) == ([], 3)
