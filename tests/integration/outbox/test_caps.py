"""How much may wait, and what gives way when it is full."""

from __future__ import annotations

import sqlite3
import threading
from contextlib import closing, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from segops_durable import (
    ConfigurationError,
    DroppedEventsError,
    InvalidEventError,
    PendingEventsError,
    QueueFullError,
    StorageError,
)
from segops_durable.outbox.disk.files import filesystem_of
from support.events import numbers, track
from support.peer import Peer, Request

if TYPE_CHECKING:
    from collections.abc import Callable

    from segops_durable import SegOpsClient, SegOpsError
    from segops_durable.sandbox import Sandbox

pytestmark = pytest.mark.one_python


def test_a_full_queue_refuses_the_event_and_keeps_what_it_has(
    make_client: Callable[..., SegOpsClient], sandbox: Sandbox
) -> None:
    sandbox.faults(status=503)
    client = make_client(max_queue_events=10, max_retries=0)
    track(client, 8)
    with pytest.raises(QueueFullError, match=r"holds 8 events .*max_queue_events=10") as caught:
        track(client, 3, first=8)  # as a whole, or not at all
    assert isinstance(caught.value, StorageError)
    track(client, 2, first=8)
    with pytest.raises(QueueFullError):
        track(client, 1, first=10)
    assert client.stats().pending == 10
    sandbox.faults()
    assert client.flush(timeout=30).ok
    track(client, 1, first=10)
    assert client.flush(timeout=30).ok
    assert numbers(sandbox) == list(range(11))


def test_many_threads_fill_a_queue_to_the_last_event_and_no_further(
    make_client: Callable[..., SegOpsClient], sandbox: Sandbox
) -> None:
    sandbox.faults(status=503)
    client = make_client(max_queue_events=100, max_retries=0)
    stored: list[int] = []

    def work(thread: int) -> None:
        for number in range(50):
            with suppress(QueueFullError):
                track(client, 1, first=thread * 1000 + number)
                stored.append(number)

    threads = [threading.Thread(target=work, args=(each,)) for each in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(stored) == 100
    assert client.stats().pending == 100


def test_the_bytes_of_the_file_are_bounded(
    make_client: Callable[..., SegOpsClient], sandbox: Sandbox, queue_path: Path
) -> None:
    sandbox.faults(status=503)
    largest = 400_000
    client = make_client(max_queue_bytes=largest, max_retries=0)
    with pytest.raises(QueueFullError, match="max_queue_bytes=400000"):  # noqa: PT012 - a loop
        for number in range(1000):
            client.track(user_id="u", event_type="e", payload={"n": number, "blob": "x" * 2000})
    assert 50 < client.stats().pending < 200
    assert queue_path.stat().st_size <= largest + 50_000
    sandbox.faults()
    assert client.flush(timeout=30).ok
    track(client, 1)  # there is room again


@pytest.mark.usefixtures("default_directory")
def test_an_event_that_is_too_large_is_refused_with_its_size(
    make_client: Callable[..., SegOpsClient],
) -> None:
    client = make_client(max_event_bytes=1000)
    with pytest.raises(
        InvalidEventError, match=r"at most 1000 bytes when encoded, got 11\d\d"
    ) as e:
        client.track(user_id="u", event_type="e", payload={"blob": "x" * 1000})
    assert e.value.field == "event"
    assert client.stats().pending == 0
    with pytest.raises(InvalidEventError, match="262144"):
        make_client(queue_path=None).track(
            user_id="u", event_type="e", payload={"blob": "x" * 300_000}
        )


def test_block_waits_for_room_which_the_flusher_makes(
    make_client: Callable[..., SegOpsClient], sandbox: Sandbox
) -> None:
    client = make_client(max_queue_events=10, overflow="block", overflow_timeout=30.0)
    for number in range(100):
        track(client, 1, first=number)
    assert client.flush(timeout=30).ok
    assert numbers(sandbox) == list(range(100))


def test_block_gives_up_after_its_timeout(
    make_client: Callable[..., SegOpsClient], sandbox: Sandbox
) -> None:
    sandbox.stop()
    client = make_client(max_queue_events=5, overflow="block", overflow_timeout=0.2)
    track(client, 5)
    with pytest.raises(QueueFullError):
        track(client, 1)
    assert client.stats().pending == 5


def test_the_oldest_give_way_are_counted_and_told_of(
    make_client: Callable[..., SegOpsClient], sandbox: Sandbox
) -> None:
    sandbox.faults(status=503)
    told: list[SegOpsError] = []
    client = make_client(
        max_queue_events=30, overflow="drop_oldest", max_retries=0, on_error=told.append
    )
    track(client, 20)
    client.flush(timeout=30)  # so that these are in flight
    track(client, 10, first=20)
    track(client, 5, first=30)
    stats = client.stats()
    assert (stats.pending, stats.dropped_total) == (30, 5)
    with pytest.raises(QueueFullError):
        track(client, 31, first=1000)  # for nothing that can never fit
    with pytest.raises(QueueFullError):
        track(client, 11, first=1000)  # nor at the cost of a batch in flight
    assert client.stats().dropped_total == 5
    sandbox.faults()
    assert client.flush(timeout=30).ok
    assert sorted(numbers(sandbox)) == [*range(20), *range(25, 35)]
    client.shutdown()
    (error,) = [error for error in told if isinstance(error, DroppedEventsError)]
    assert error.dropped == 5


def test_the_oldest_give_way_to_bytes_as_well(
    make_client: Callable[..., SegOpsClient], sandbox: Sandbox
) -> None:
    sandbox.stop()
    client = make_client(max_queue_bytes=300_000, overflow="drop_oldest", max_retries=0)
    for number in range(300):
        client.track(user_id="u", event_type="e", payload={"n": number, "blob": "x" * 2000})
    stats = client.stats()
    assert stats.pending + stats.dropped_total == 300
    assert 50 < stats.pending < 150


def test_the_dead_letters_do_not_give_way(
    make_client: Callable[..., SegOpsClient], sandbox: Sandbox
) -> None:
    client = make_client(max_queue_events=10, overflow="drop_oldest")
    client.track_many(
        [{"user_id": "not an id", "event_type": "e", "payload": {"n": n}} for n in range(5)]
    )
    assert client.flush(timeout=60).dead == 5
    sandbox.stop()
    track(client, 10)
    track(client, 10)
    assert client.stats().dead == 5


MOUNTS = """
/dev/vda / ext4 rw 0 0
server:/home /home nfs4 rw 0 0
//server/share /mnt/with\\040space cifs rw 0 0
tmpfs /home/local tmpfs rw 0 0
""".strip()


def test_the_file_system_of_a_path_is_known(tmp_path: Path) -> None:
    mounts = tmp_path / "mounts"
    mounts.write_text(MOUNTS)
    kinds = {
        "/var/queue.db": "ext4",
        "/home/kiosk/queue.db": "nfs4",
        "/home/local/queue.db": "tmpfs",
        "/homes/queue.db": "ext4",
        "/mnt/with space/queue.db": "cifs",
    }
    found = {path: filesystem_of(Path(path), mounts) for path in kinds}
    assert found == kinds
    assert filesystem_of(tmp_path, tmp_path / "no such file") == ""


def test_a_network_file_system_is_refused_unless_allowed(
    make_client: Callable[..., SegOpsClient],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    mounts = tmp_path / "mounts"
    mounts.write_text(f"server:/x {tmp_path} nfs rw 0 0\n")
    monkeypatch.setattr("segops_durable.outbox.disk.files._MOUNTS", mounts)
    with pytest.raises(ConfigurationError, match="on nfs") as caught:
        make_client()
    assert caught.value.field == "queue_path"
    track(make_client(allow_network_filesystem=True), 1)


def test_a_log_that_somebody_keeps_in_use_counts_is_told_of_once_and_is_cut_afterwards(
    make_client: Callable[..., SegOpsClient], sandbox: Sandbox, queue_path: Path
) -> None:
    told: list[SegOpsError] = []
    sandbox.faults(status=503)
    client = make_client(max_queue_bytes=2_000_000, on_error=told.append, max_retries=0)
    track(client, 1)
    log = queue_path.with_name(queue_path.name + "-wal")
    with closing(sqlite3.connect(queue_path)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM queue_outbox").fetchall()
        with pytest.raises(QueueFullError, match="log that another program keeps"):  # noqa: PT012 - a loop
            for number in range(10_000):
                track(client, 1, first=number + 1)
        assert log.stat().st_size < 2_000_000 + (1 << 20)
        stored = client.stats().pending
        for _ in range(2):
            client.flush(timeout=20)
        assert [str(log.parent) in str(each) for each in told if type(each) is StorageError] == [
            True
        ]
    sandbox.faults()
    track(client, 1, first=number + 1)  # the reader has gone
    assert log.stat().st_size <= 1 << 20
    assert client.flush(timeout=30).ok
    assert sorted(numbers(sandbox)) == list(range(stored + 1))


def test_events_do_not_give_way_for_a_log_that_somebody_keeps_in_use(
    make_client: Callable[..., SegOpsClient], sandbox: Sandbox, queue_path: Path
) -> None:
    sandbox.faults(status=503)
    client = make_client(max_queue_bytes=2_000_000, overflow="drop_oldest", max_retries=0)
    track(client, 1)
    with closing(sqlite3.connect(queue_path)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM queue_outbox").fetchall()
        with pytest.raises(QueueFullError):  # noqa: PT012 - a loop
            for number in range(10_000):
                track(client, 1, first=number + 1)
        assert client.stats().dropped_total == 0


@pytest.mark.long
def test_a_flush_during_which_events_give_way_does_not_say_that_all_are_accepted(
    make_client: Callable[..., SegOpsClient],
) -> None:
    def react(request: Request) -> bytes:
        if len(segops.requests) == 1:  # the first batch is in flight, and does not give way
            track(client, 2, first=5)
        return segops.accept(request)

    with Peer(react) as segops:
        client = make_client(
            api_url=segops.url, batch_size=2, max_queue_events=5, overflow="drop_oldest"
        )
        track(client, 5)
        result = client.flush(timeout=30)
        assert (result.lost, result.pending, result.ok) == (2, 0, False)
        with pytest.raises(PendingEventsError, match="2 are lost"):
            result.raise_for_pending()
        assert client.flush(timeout=30).ok
