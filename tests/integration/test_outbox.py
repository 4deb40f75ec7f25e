from __future__ import annotations

import os
import sqlite3
import stat
import sys
import threading
import zlib
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest

from segops_durable import ClosedError, ConfigurationError, QueueFullError, StorageError
from segops_durable.clock import Moment
from segops_durable.identity import NO_IDENTITY
from segops_durable.outbox import Cause, Letter, Outbox, Settlement, Take
from segops_durable.outbox.commit import _Append
from segops_durable.outbox.event_queue import UPGRADES, EventQueue
from segops_durable.outbox.leftovers import find_leftovers
from segops_durable.outbox.rows import new_row

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from segops_durable.outbox import Batch

URL = "https://api.segops.ai"


@pytest.fixture
def open_outbox(queue_path: Path) -> Iterator[Callable[..., Outbox]]:
    opened = []

    def make(path: Path = queue_path, **options: Any) -> Outbox:
        outbox = Outbox(path, **{"api_url": URL, "key_fingerprint": "k", **options})
        opened.append(outbox)
        return outbox

    yield make
    for outbox in opened:
        outbox.resign_as_sender()
        outbox.close()


def events(count: int, first: int = 0) -> list[bytes]:
    return [b'{"n":%d}' % number for number in range(first, first + count)]


def take(outbox: Outbox, limit: int = 20, identity: str = NO_IDENTITY) -> Batch:
    batch = outbox.take(Take(limit, identity)).batch
    assert batch is not None
    return batch


def test_a_batch_is_the_stored_bytes_joined(open_outbox: Callable[..., Outbox]) -> None:
    outbox = open_outbox()
    outbox.append(events(3))
    batch = take(outbox)
    assert batch.body == b'{"events":[{"n":0},{"n":1},{"n":2}]}'
    assert outbox.counts().pending == 3


def test_a_large_drain_gives_the_disk_its_room_back(
    open_outbox: Callable[..., Outbox], queue_path: Path
) -> None:
    outbox = open_outbox()
    for _ in range(100):
        outbox.append([b"x" * 1000] * 100)
    full = queue_path.stat().st_size
    batch = take(outbox, limit=1000)
    while outbox.tidy() == 0 and batch is not None:
        batch = outbox.settle(Settlement(batch, len(batch.rows)), Take(1000)).batch  # type: ignore[assignment]
    outbox.append(events(1))
    outbox.tidy()
    assert queue_path.stat().st_size < full / 20
    assert outbox.counts().pending == 1


def test_a_batch_stays_the_same_until_it_is_settled_also_after_a_restart(
    open_outbox: Callable[..., Outbox],
) -> None:
    first = open_outbox()
    first.append(events(5))
    batch = take(first, limit=3)
    first.append(events(5, first=5))
    first.close()
    again = take(open_outbox(), limit=20)
    assert (again.key, again.body) == (batch.key, batch.body)


def test_settling_removes_the_batch_and_takes_the_next(open_outbox: Callable[..., Outbox]) -> None:
    outbox = open_outbox()
    outbox.append(events(5))
    first = take(outbox, limit=3)
    second = outbox.settle(Settlement(first, accepted=3), Take(3)).batch
    assert second is not None
    assert second.body == b'{"events":[{"n":3},{"n":4}]}'
    assert second.key != first.key
    counts = outbox.counts()
    assert (counts.pending, counts.accepted_total, counts.dead) == (2, 3, 0)
    assert outbox.settle(Settlement(second, accepted=2), Take(3)).batch is None
    assert outbox.counts().oldest_at is None


def test_an_id_is_never_used_again(open_outbox: Callable[..., Outbox]) -> None:
    outbox = open_outbox()
    outbox.append(events(2))
    first = take(outbox)
    outbox.settle(Settlement(first, accepted=2), Take(20))
    outbox.append(events(1))
    assert take(outbox).first_id > first.last_id


def test_too_few_rows_are_left_to_gather(open_outbox: Callable[..., Outbox]) -> None:
    outbox = open_outbox()
    outbox.append(events(19))
    assert outbox.take(Take(20, minimum=20)).batch is None
    outbox.append(events(1))
    assert outbox.take(Take(20, minimum=20)).batch is not None


def test_a_batch_holds_one_identity(
    open_outbox: Callable[..., Outbox],
) -> None:
    outbox = open_outbox()
    outbox.append(events(2), "user:a")
    outbox.append(events(2, first=2), "user:b")
    outbox.append(events(2, first=4), "user:a")
    assert outbox.identities() == ["user:a", "user:b"]  # the one with the oldest event first
    mine = take(outbox, identity="user:a")
    assert (mine.identity, len(mine.rows)) == ("user:a", 4)
    assert take(outbox, identity="user:b").body == b'{"events":[{"n":2},{"n":3}]}'
    assert take(outbox, identity="user:a").key == mine.key
    assert outbox.take(Take(20, "user:c")).batch is None


def test_a_row_whose_bytes_changed_goes_to_the_dead_letters_and_is_not_sent(
    open_outbox: Callable[..., Outbox], queue_path: Path
) -> None:
    outbox = open_outbox()
    outbox.append(events(3))
    marked = take(outbox)
    with closing(sqlite3.connect(queue_path)) as connection, connection:
        connection.execute("UPDATE queue_outbox SET data = ? WHERE _id = 2", (b'{"n":9}',))
    taken = outbox.take(Take(20))
    assert taken.damaged == 1
    assert taken.batch is not None
    assert taken.batch.body == b'{"events":[{"n":0},{"n":2}]}'
    assert taken.batch.key != marked.key  # other bytes must not travel under the same key
    counts = outbox.counts()
    assert (counts.pending, counts.dead) == (2, 1)


def test_a_settled_batch_can_leave_a_copy_in_the_dead_letters(
    open_outbox: Callable[..., Outbox], queue_path: Path
) -> None:
    outbox = open_outbox()
    outbox.append(events(2))
    outbox.settle(
        Settlement(take(outbox), 1, Letter(Cause.SKIPPED, "1 of 2 refused", 202, "said")), Take(20)
    )
    assert outbox.counts().dead == 2
    with closing(sqlite3.connect(queue_path)) as connection:
        found = connection.execute("SELECT data, reason, status, answer FROM dead_letters")
        assert found.fetchall()[0] == (b'{"n":0}', "1 of 2 refused", 202, "said")


def test_settling_again_after_a_commit_whose_fate_was_unknown_changes_nothing(
    open_outbox: Callable[..., Outbox],
) -> None:
    outbox = open_outbox()
    outbox.append(events(2))
    settlement = Settlement(take(outbox), 1, Letter(Cause.SKIPPED, "1 of 2 refused", 202))
    for _ in range(2):
        outbox.settle(settlement, None)
        counts = outbox.counts()
        assert (counts.pending, counts.accepted_total, counts.dead) == (0, 1, 2)


def test_the_file_and_its_directory_are_private_and_durable_settings_hold(
    open_outbox: Callable[..., Outbox], queue_path: Path
) -> None:
    outbox = open_outbox()
    outbox.append(events(1))
    assert stat.S_IMODE(queue_path.parent.stat().st_mode) == 0o700
    for file in queue_path.parent.iterdir():
        assert stat.S_IMODE(file.stat().st_mode) & 0o077 == 0, file
    writer = outbox._store._current().writer
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
    writer = open_outbox(durability="normal")._store._current().writer
    assert writer.execute("PRAGMA synchronous").fetchone()[0] == 1


def test_many_threads_share_commits_and_every_row_is_there(
    open_outbox: Callable[..., Outbox],
) -> None:
    outbox = open_outbox()
    start = threading.Barrier(8)

    def work(thread: int) -> None:
        start.wait()
        for number in range(50):
            outbox.append([b'{"t":%d,"n":%d}' % (thread, number)])

    threads = [threading.Thread(target=work, args=(each,)) for each in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    rows = take(outbox, limit=500).rows
    assert len({row.data for row in rows}) == 400
    assert all(row.crc == zlib.crc32(row.data) for row in rows)
    for thread_number in range(8):  # each thread's own order is kept
        mine = [row.data for row in rows if b'"t":%d,' % thread_number in row.data]
        assert mine == sorted(mine, key=lambda data: int(data.split(b":")[-1][:-1]))


def test_a_failed_commit_is_told_to_every_thread_that_waited_for_it(
    open_outbox: Callable[..., Outbox],
) -> None:
    outbox = open_outbox()
    writer = outbox._store._current().writer
    writer.execute("PRAGMA max_page_count = 1")  # no page more than there are
    outcomes: list[Exception] = []
    start = threading.Barrier(8)

    def work() -> None:
        start.wait()
        try:
            outbox.append([b"x" * 100_000])
        except QueueFullError as error:
            outcomes.append(error)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(outcomes) == 8
    writer.execute("PRAGMA max_page_count = 1000000")
    outbox.append(events(1))
    assert outbox.counts().pending == 1


def test_a_call_from_a_signal_handler_within_a_commit_raises_and_does_not_hang(
    open_outbox: Callable[..., Outbox],
) -> None:
    outbox = open_outbox()
    with pytest.raises(StorageError, match="signal handler"):
        outbox._store.write(lambda _queue: outbox.append(events(1)))
    group = outbox._commit._join(_Append([]))  # this thread leads a group that is still open
    with pytest.raises(StorageError, match="signal handler"):
        outbox.append(events(1))
    outbox._commit._close(group)
    outbox.append(events(1))
    assert outbox.counts().pending == 1


def test_one_outbox_has_one_sender_until_it_resigns(open_outbox: Callable[..., Outbox]) -> None:
    first, second = open_outbox(), open_outbox()
    assert first.try_become_sender()
    assert first.try_become_sender()
    assert not second.try_become_sender()
    first.resign_as_sender()
    assert second.try_become_sender()


def test_two_handles_on_one_file_both_append(open_outbox: Callable[..., Outbox]) -> None:
    first, second = open_outbox(), open_outbox()
    first.append(events(2))
    second.append(events(3, first=2))
    assert first.counts().pending == second.counts().pending == 5
    assert first.count_after(3) == 2
    assert first.has_rows_up_to(1)


def test_another_api_url_is_refused_and_another_key_is_a_rotation(
    open_outbox: Callable[..., Outbox], caplog: pytest.LogCaptureFixture
) -> None:
    first = open_outbox()
    first.append(events(1))
    batch = take(first)
    first.close()
    with pytest.raises(ConfigurationError, match="queue_path"):
        open_outbox(api_url="https://eu.segops.ai")
    with caplog.at_level("INFO", "segops_durable"):
        second = open_outbox(key_fingerprint="other")
    assert "rotated" in caplog.text
    assert take(second).key == batch.key


def test_a_file_of_a_future_version_is_refused_with_a_way_out(
    open_outbox: Callable[..., Outbox], queue_path: Path
) -> None:
    open_outbox().close()
    with closing(sqlite3.connect(queue_path)) as connection:
        connection.execute("PRAGMA user_version = 99")
        connection.execute("UPDATE meta SET value = '99' WHERE name = 'schema'")
        connection.commit()
    with pytest.raises(StorageError, match="Upgrade segops-durable"):
        open_outbox()


def test_a_file_of_an_older_version_is_brought_up_to_date(
    open_outbox: Callable[..., Outbox], queue_path: Path
) -> None:
    queue_path.parent.mkdir()
    with closing(sqlite3.connect(queue_path)) as connection:
        table = EventQueue._SQL_CREATE.format(table_name="queue_outbox", key_column="_id")
        connection.executescript(f"{table}; {UPGRADES[0]} PRAGMA user_version = 1;")
        row = new_row(b'{"n":0}', Moment(1.5), NO_IDENTITY)[:4]
        connection.execute(
            "INSERT INTO queue_outbox (data, timestamp, crc, identity) VALUES (?, ?, ?, ?)", row
        )
        connection.execute(
            "INSERT INTO dead_letters (row_id, data, identity, tracked_at, died_at, reason, answer)"
            " VALUES (9, x'7b7d', '', 1.5, 2.5, 'damaged', '')"
        )
        connection.commit()
    outbox = open_outbox()
    assert take(outbox).body == b'{"events":[{"n":0}]}'
    (letter,) = outbox.dead_letters
    assert letter.cause is Cause.DAMAGED
    assert outbox.pop_incidents() == []


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
    for use in (lambda: outbox.append(events(1)), outbox.counts):
        with pytest.raises(ClosedError):
            use()


def test_a_forked_child_is_refused_and_the_parent_goes_on(
    open_outbox: Callable[..., Outbox],
) -> None:
    outbox = open_outbox()
    child = os.fork()
    if child == 0:  # pragma: no cover - the child leaves without a report
        try:
            outbox.append(events(1))
        except ClosedError:
            os._exit(0)
        os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    outbox.append(events(1))
    assert outbox.counts().pending == 1


def test_leftovers_under_another_key_are_found(
    open_outbox: Callable[..., Outbox], tmp_path: Path
) -> None:
    mine = tmp_path / "outbox-mine.db"
    open_outbox(tmp_path / "outbox-other.db").append(events(3))
    open_outbox(tmp_path / "outbox-empty.db")
    open_outbox(tmp_path / "outbox-elsewhere.db", api_url="https://eu.segops.ai").append(events(1))
    (tmp_path / "outbox-garbage.db").write_bytes(b"no database" * 100)
    open_outbox(mine).append(events(1))
    assert list(find_leftovers(mine, URL)) == [(tmp_path / "outbox-other.db", 3)]


def test_a_thread_that_waits_at_the_gate_while_it_closes_is_refused(
    open_outbox: Callable[..., Outbox],
) -> None:
    outbox = open_outbox()
    outcome: list[Exception] = []

    def append() -> None:
        try:
            outbox.append(events(1))
        except ClosedError as error:
            outcome.append(error)

    gate = outbox._store.gate
    waiting = threading.Thread(target=append)
    with gate.threads:
        waiting.start()
        while outbox._commit._open_group is None:  # until it leads a group, and so waits here
            continue
        gate.run(outbox._store._close)
    waiting.join(10)
    assert len(outcome) == 1


# a weak reference's callback may be what is interrupted, and there Python swallows exceptions
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_handler_that_raises_anywhere_in_an_append_leaves_the_outbox_usable(
    open_outbox: Callable[..., Outbox],
) -> None:
    """Ctrl-C, at every call in turn that an append makes."""

    class Interrupt(BaseException):
        pass

    outbox = open_outbox()
    calls = 0

    def interrupt(_frame: object, event: str, _argument: object) -> None:
        nonlocal calls
        calls -= event in {"call", "c_return"}  # where the interpreter runs signal handlers
        if calls == 0:
            sys.setprofile(None)
            raise Interrupt

    for point in range(1, 500):
        calls = point
        sys.setprofile(interrupt)
        try:
            outbox.append(events(1))
        except (Interrupt, StorageError):
            pass
        else:
            break
        finally:
            sys.setprofile(None)
        survivor = threading.Thread(target=outbox.append, args=(events(1),), daemon=True)
        survivor.start()
        survivor.join(20)
        assert not survivor.is_alive(), f"another thread hangs after an interrupt at call {point}"
        outbox.append(events(1))
    assert 10 < point < 499
    assert outbox.counts().pending >= 2 * (point - 1)
