"""Erasing a person: from the queue, the dead letters, the indexes, the log."""

from __future__ import annotations

import random
import sqlite3
import subprocess
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest

from segops_durable import ConfigurationError, Event, SegOpsClient, StorageError
from segops_durable.outbox import Cause, Letter, Outbox, Settlement, Take
from support.events import numbered
from support.kiosk import Kiosk, event
from support.peer import Peer, Request

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from segops_durable.sandbox import Sandbox
    from support.rig import Rig

PEOPLE = ("ann", "bob", "carl")


def on_disk(queue_path: Path, needle: str) -> list[str]:
    """The files beside the queue that have these bytes; read by another process.

    To open them in this one would drop SQLite's locks.
    """
    command = ["grep", "--files-with-matches", "--text", "--fixed-strings", needle]
    files = [each for each in queue_path.parent.iterdir() if each.is_file()]
    found = subprocess.run([*command, *files], check=False, capture_output=True, text=True)
    return found.stdout.split()


def use(client: SegOpsClient, kiosk: Kiosk, rounds: int = 30) -> None:
    chance = random.Random(2026)
    for _ in range(rounds):
        for kiosk.user in PEOPLE:
            text = f"a secret of {kiosk.user}" + "x" * chance.randrange(3000)
            client.track(Event("someone", "page_viewed", payload={"text": text}))
    kiosk.user = None


def test_everything_of_a_person_is_erased_and_the_others_stay(
    make_client: Callable[..., SegOpsClient], sandbox: Sandbox, queue_path: Path
) -> None:
    sandbox.stop()
    kiosk = Kiosk()
    callbacks = {"get_user": kiosk.get_user, "user_context_for": kiosk.user_context_for}
    client = make_client("pk_test", **callbacks, max_retries=0)
    use(client, kiosk)
    client.flush(timeout=60)
    assert on_disk(queue_path, "a secret of ann")
    assert on_disk(queue_path, "user:ann")
    assert client.forget("ann") == 30
    assert on_disk(queue_path, "a secret of ann") == []
    assert on_disk(queue_path, "user:ann") == []
    assert client.stats().pending == 60
    assert client.forget("ann") == 0
    sandbox.start()
    assert client.flush(timeout=20).ok
    assert {row["user_id"] for row in sandbox.events()} == {"bob", "carl"}
    assert len(sandbox.events()) == 60


def test_a_visitor_is_forgotten_by_the_anonymous_id(
    make_client: Callable[..., SegOpsClient], sandbox: Sandbox
) -> None:
    sandbox.stop()
    kiosk = Kiosk()
    client = make_client("pk_test", get_user=kiosk.get_user, max_retries=0)
    visitor = client.anonymous_id
    client.track(event(None))
    kiosk.user = "ann"
    client.track(event("ann"))  # it carries the visitor's id, and is hers
    assert client.forget(visitor) == 1
    sandbox.start()
    assert client.flush(timeout=60).ok
    assert [row["user_id"] for row in sandbox.events()] == ["ann"]


def test_events_that_name_a_person_are_erased_under_a_secret_key(
    make_client: Callable[..., SegOpsClient], sandbox: Sandbox, queue_path: Path
) -> None:
    sandbox.faults(status=400)
    client = make_client()
    for user in ("änn", "bob"):
        client.track(user_id=user, event_type="page_viewed", payload={"x": f"refused {user}"})
    client.flush(timeout=60)
    assert client.stats().dead == 2
    sandbox.stop()
    for user in ("änn", "bob", "änn"):
        client.track(user_id=user, event_type="page_viewed", payload={"friend": "änn"})
    assert client.forget("änn") == 3
    assert on_disk(queue_path, "refused änn") == []
    (letter,) = client.dead_letters()
    assert letter.event is not None
    assert letter.event["user_id"] == "bob"
    assert client.stats().pending == 1  # one about a friend stays


def test_events_of_whoever_are_erased_once_they_are_somebodys(outbox: Outbox) -> None:
    outbox.commit.append([b'{"user_id":"x"}'] * 3, "whoever")
    batch = outbox.batches.take(Take(2, "whoever")).batch
    assert batch is not None
    outbox.batches.assign(batch, "user:ann")
    assert outbox.erasure.forget("ann") == 2
    assert outbox.waiting.counts().pending == 1
    left = outbox.batches.take(Take(2, "whoever")).batch
    assert left is not None
    assert len(left.rows) == 1


def test_a_letter_whose_number_is_that_of_somebody_elses_event_stays(outbox: Outbox) -> None:
    outbox.commit.append([b'{"user_id":"x"}'], "whoever")
    bobs = outbox.batches.take(Take(1, "whoever")).batch
    assert bobs is not None
    outbox.batches.settle(
        Settlement(bobs, 0, Letter(Cause.REFUSED, "no")), None
    )  # letter 1, of row 1
    outbox._store.transact(lambda writer: writer.execute("UPDATE dead_letters SET _id = 2"))
    outbox.commit.append([b'{"user_id":"x"}'], "whoever")  # row 2
    anns = outbox.batches.take(Take(1, "whoever")).batch
    assert anns is not None
    outbox.batches.assign(anns, "user:ann")
    assert outbox.erasure.forget("ann") == 1
    assert outbox.waiting.counts().dead == 1


def test_what_is_erased_while_it_is_on_its_way_does_not_come_back(
    make_rig: Callable[..., Rig],
) -> None:
    def react(request: Request) -> bytes | None:
        if len(peer.requests) == 1:
            assert rig.outbox.erasure.forget("u-1") == 20  # all that is in this very request
        return peer.accept(request)

    with Peer(react) as peer:
        rig = make_rig(peer.url)
        rig.track(*numbered(20))
        rig.track(Event("other", "page_viewed", payload={"n": 20}))
        rig.round()
        counts = rig.outbox.waiting.counts()
        assert (counts.pending, counts.dead) == (0, 0)
        assert peer.accepted.keys() == set(range(21))


def test_a_batch_is_known_not_to_be_whole_as_soon_as_a_row_of_it_is_gone(
    outbox: Outbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Or its answer, if it comes just then, is settled and told as if nobody had been erased."""
    outbox.commit.append([b'{"user_id":"ann"}', b'{"user_id":"bob"}'])
    batch = outbox.batches.take(Take(20)).batch
    assert batch is not None
    assert outbox.batches.is_whole(batch)  # as is asked before it is sent
    transact = outbox._store.transact
    known: list[bool] = []

    def look_after_each(action: Callable[[sqlite3.Connection], Any]) -> Any:
        result = transact(action)
        if len(outbox.batches.left_of(batch)) < len(batch.rows):
            known.append(not outbox.batches.is_whole(batch))
        return result

    monkeypatch.setattr(outbox._store, "transact", look_after_each)
    assert outbox.erasure.forget("ann") == 1
    assert known
    assert all(known)


def test_a_batch_with_an_erased_event_is_buried_without_it(outbox: Outbox) -> None:
    outbox.commit.append([b'{"user_id":"ann"}', b'{"user_id":"bob"}'])
    batch = outbox.batches.take(Take(20)).batch
    assert batch is not None
    outbox.erasure.forget("ann")
    outbox.batches.settle(Settlement(batch, 0, Letter(Cause.SKIPPED, "who knows")), None)
    assert [letter.data for letter in outbox.dead_letters] == [b'{"user_id":"bob"}']
    assert outbox.waiting.counts().pending == 0


def test_a_log_that_is_in_use_is_told_of(outbox: Outbox, queue_path: Path) -> None:
    outbox.commit.append([b'{"user_id":"ann"}'])
    with closing(sqlite3.connect(queue_path)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM queue_outbox").fetchall()
        outbox._store.write(lambda queue: queue.writer.execute("PRAGMA busy_timeout = 50"))
        with pytest.raises(StorageError, match="is in use"):
            outbox.erasure.forget("ann")
    assert outbox.waiting.counts().pending == 0
    assert outbox.erasure.forget("ann") == 0
    assert on_disk(queue_path, '"ann"') == []


def test_damaged_files_that_were_set_aside_are_named(
    outbox: Outbox, queue_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    outbox.erasure.forget("ann")
    assert caplog.messages == []
    queue_path.with_name("outbox.db.damaged-20260131T120000").touch()
    outbox.erasure.forget("ann")
    assert "outbox.db.damaged-20260131T120000" in caplog.text
    assert "ann" not in caplog.text


@pytest.mark.parametrize("bad", [None, "", 5, b"ann"])
def test_what_is_no_identity_is_refused(make_client: Callable[..., SegOpsClient], bad: Any) -> None:
    with pytest.raises(ConfigurationError, match="identity must be a user id"):
        make_client().forget(bad)


@pytest.fixture
def outbox(make_rig: Callable[..., Rig]) -> Outbox:
    return make_rig("http://localhost:9").outbox
