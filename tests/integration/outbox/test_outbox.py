"""The outbox as a whole: who may open it, where it lies, and how sure its commits are."""

from __future__ import annotations

import logging
import os
import stat
from typing import TYPE_CHECKING

import pytest

from segops_durable import ClosedError, ConfigurationError, StorageError
from segops_durable.outbox import Outbox, Settlement, Take
from support.outboxes import events, take

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from segops_durable.outbox import Batch


def test_a_large_drain_gives_the_disk_its_room_back(
    open_outbox: Callable[..., Outbox], queue_path: Path
) -> None:
    outbox = open_outbox()
    for _ in range(100):
        outbox.commit.append([b"x" * 1000] * 100)
    full = queue_path.stat().st_size
    batch: Batch | None = take(outbox, limit=1000)
    while batch is not None:
        outbox.tidy()
        batch = outbox.batches.settle(Settlement(batch, len(batch.rows)), Take(1000)).batch
    outbox.commit.append(events(1))
    outbox.tidy()
    assert queue_path.stat().st_size < full / 20
    assert outbox.waiting.counts().pending == 1


def test_an_id_is_never_used_again(open_outbox: Callable[..., Outbox]) -> None:
    outbox = open_outbox()
    outbox.commit.append(events(2))
    first = take(outbox)
    outbox.batches.settle(Settlement(first, accepted=2), Take(20))
    outbox.commit.append(events(1))
    assert take(outbox).first_id > first.last_id


def test_the_file_and_its_directory_are_private_and_durable_settings_hold(
    open_outbox: Callable[..., Outbox], queue_path: Path
) -> None:
    outbox = open_outbox()
    outbox.commit.append(events(1))
    assert stat.S_IMODE(queue_path.parent.stat().st_mode) == 0o700
    for file in queue_path.parent.iterdir():
        assert stat.S_IMODE(file.stat().st_mode) & 0o077 == 0, file
    writer = outbox._store._live.current().writer
    settings = {
        name: writer.execute(f"PRAGMA {name}").fetchone()[0]
        for name in ("journal_mode", "synchronous", "secure_delete", "wal_autocheckpoint")
    }
    assert settings == {
        "journal_mode": "wal",
        "synchronous": 2,
        "secure_delete": 1,
        "wal_autocheckpoint": 100,
    }


def test_normal_durability_is_a_choice(open_outbox: Callable[..., Outbox]) -> None:
    writer = open_outbox(durability="normal")._store._live.current().writer
    assert writer.execute("PRAGMA synchronous").fetchone()[0] == 1


def test_one_outbox_has_one_sender_until_it_resigns(open_outbox: Callable[..., Outbox]) -> None:
    first, second = open_outbox(), open_outbox()
    assert first.sender_lock.try_acquire()
    assert first.sender_lock.try_acquire()
    assert not second.sender_lock.try_acquire()
    first.sender_lock.release()
    assert second.sender_lock.try_acquire()


def test_two_handles_on_one_file_both_append(open_outbox: Callable[..., Outbox]) -> None:
    first, second = open_outbox(), open_outbox()
    first.commit.append(events(2))
    second.commit.append(events(3, first=2))
    assert first.waiting.counts().pending == second.waiting.counts().pending == 5
    assert first.waiting.count_after(3) == 2
    assert first.waiting.has_rows_up_to(1)


def test_another_api_url_is_refused_and_another_key_is_a_rotation(
    open_outbox: Callable[..., Outbox], caplog: pytest.LogCaptureFixture
) -> None:
    first = open_outbox()
    first.commit.append(events(1))
    batch = take(first)
    first.close()
    with pytest.raises(ConfigurationError, match="queue_path"):
        open_outbox(api_url="https://eu.segops.ai")
    with caplog.at_level("INFO", "segops_durable"):
        second = open_outbox(key_fingerprint="other")
    assert "rotated" in caplog.text
    assert take(second).key == batch.key


def test_a_handler_of_the_log_that_raises_stops_neither_who_opens_an_outbox_nor_who_sends(
    open_outbox: Callable[..., Outbox], caplog: pytest.LogCaptureFixture
) -> None:
    open_outbox().commit.append(events(1))
    handler = logging.Handler()
    handler.handle = lambda record: [][record.lineno]  # type: ignore[method-assign]  # as a fault of its own
    logger = logging.getLogger("segops_durable")
    logger.addHandler(handler)
    try:
        with caplog.at_level("INFO", "segops_durable"):
            second = open_outbox(key_fingerprint="other")
            assert second.pop_incidents() == []
    finally:
        logger.removeHandler(handler)
    assert second.waiting.counts().pending == 1


def test_nothing_is_logged_from_within_the_file_so_a_handler_may_use_it(
    open_outbox: Callable[..., Outbox], caplog: pytest.LogCaptureFixture
) -> None:
    first = open_outbox()
    first.commit.append(events(1))
    stored: list[str] = []

    class Tracks(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            first.commit.append(events(1, first=1 + len(stored)))  # waits for nobody
            stored.append(record.getMessage())

    handler = Tracks()
    logging.getLogger("segops_durable").addHandler(handler)
    try:
        with caplog.at_level("INFO", "segops_durable"):
            second = open_outbox(key_fingerprint="other", lock_timeout=0.2)
    finally:
        logging.getLogger("segops_durable").removeHandler(handler)
    assert [each for each in stored if "rotated" in each]
    assert second.waiting.counts().pending == 1 + len(stored)


def test_a_place_that_cannot_hold_an_outbox_is_refused_with_its_path(
    open_outbox: Callable[..., Outbox], tmp_path: Path
) -> None:
    in_the_way = tmp_path / "file"
    in_the_way.write_text("")
    with pytest.raises(StorageError, match=str(in_the_way)):
        open_outbox(in_the_way / "outbox.db")
    directory = tmp_path / "outbox.db"
    directory.mkdir()
    with pytest.raises(StorageError, match=str(directory)):
        open_outbox(directory)


def test_a_closed_outbox_says_so(open_outbox: Callable[..., Outbox]) -> None:
    outbox = open_outbox()
    outbox.close()
    outbox.close()
    for use in (lambda: outbox.commit.append(events(1)), outbox.waiting.counts):
        with pytest.raises(ClosedError):
            use()


def test_a_forked_child_is_refused_and_the_parent_goes_on(
    open_outbox: Callable[..., Outbox],
) -> None:
    outbox = open_outbox()
    child = os.fork()
    if child == 0:  # pragma: no cover - the child leaves without a report
        try:
            outbox.commit.append(events(1))
        except ClosedError:
            os._exit(0)
        os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    outbox.commit.append(events(1))
    assert outbox.waiting.counts().pending == 1
