"""A process that has lost its place as the sender leaves what it has in hand to the next one."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

import pytest

from segops_durable.outbox import sender_lock
from segops_durable.system.filelock import FileLock
from support.events import numbers
from support.peer import Peer, Request, answer

if TYPE_CHECKING:
    from collections.abc import Callable

    from segops_durable.outbox import Outbox
    from segops_durable.sandbox import Sandbox
    from support.rig import Rig


def marks(outbox: Outbox) -> list[tuple[int, int]]:
    """The first and last row of each batch that is marked in flight."""
    return list(outbox._store.read("SELECT first_id, last_id FROM in_flight ORDER BY first_id"))


def lose_place(outbox: Outbox) -> None:
    """What a process does that has knocked in vain."""
    outbox.path.with_name(outbox.path.name + ".sender").unlink()


@pytest.mark.parametrize("connections", [1, 2])
def test_what_it_has_marked_and_not_sent_stays_marked(
    make_rig: Callable[..., Rig], connections: int
) -> None:
    """The next one finds the mark, and may have begun to send that batch."""

    def accept(request: Request) -> bytes:
        lose_place(rig.outbox)
        return segops.accept(request)

    with Peer(accept) as segops:
        rig = make_rig(segops.url, max_in_flight=connections)
        rig.append(60)
        rig.round()
        assert len(segops.requests) == 1
        assert rig.state == "standby"
        assert marks(rig.outbox)[0] == (21, 40)
        assert rig.outbox.waiting.counts().pending == 40  # what was answered for is gone


def test_what_was_refused_is_not_divided_by_it(make_rig: Callable[..., Rig]) -> None:
    def refuse(_request: Request) -> bytes:
        lose_place(rig.outbox)
        return answer(400, {"detail": "No."})

    with Peer(refuse) as segops:
        rig = make_rig(segops.url)
        rig.append(20)
        rig.round()
        assert len(segops.requests) == 1
        assert marks(rig.outbox) == [(1, 20)]
        assert rig.outbox.waiting.counts().pending == 20


def test_what_has_not_left_keeps_its_mark_when_it_ends(
    make_rig: Callable[..., Rig], sandbox: Sandbox
) -> None:
    """The next one has found the mark and sends that batch: it must not become another."""
    rig = make_rig(sandbox.url)
    sandbox.stop()
    rig.append(5)
    rig.round()
    assert marks(rig.outbox) == [(1, 5)]
    lose_place(rig.outbox)
    rig.delivery.sender.give_back()
    assert marks(rig.outbox) == [(1, 5)]


@pytest.mark.parametrize("connections", [1, 2])
def test_what_has_failed_is_not_tried_again_by_it(
    make_rig: Callable[..., Rig], connections: int
) -> None:
    """The next one has sent it meanwhile, perhaps so long ago that SegOps knows the key no more."""

    def fail(_request: Request) -> bytes:
        lose_place(rig.outbox)
        return answer(503, {"detail": "Later."})

    with Peer(fail) as segops:
        rig = make_rig(segops.url, max_in_flight=connections)
        rig.append(20)
        rig.round()
        assert len(segops.requests) == 1
        assert marks(rig.outbox) == [(1, 20)]
        assert rig.state == "standby"


def test_it_can_have_the_place_again(make_rig: Callable[..., Rig]) -> None:
    def accept(request: Request) -> bytes:
        if len(segops.requests) == 1:
            lose_place(rig.outbox)
        return segops.accept(request)

    with Peer(accept) as segops:
        rig = make_rig(segops.url)
        rig.append(60)
        rig.round()
        rig.round()
        assert sorted(segops.accepted.elements()) == list(range(60))


def test_it_is_taken_away_from_the_one_that_does_not_hear_and_from_no_other(
    make_rig: Callable[..., Rig],
) -> None:
    def accept(request: Request) -> bytes:
        return segops.accept(request)

    with Peer(accept) as segops:
        rig = make_rig(segops.url)
        rig.append(1)
        rig.round()
        lock = rig.outbox.sender_lock
        found = lock.knock()
        assert found is not None
        address, knock = found
        knock.close()
        kept = [(lock.take_away(each) is None, lock.is_held) for each in (address[::-1], address)]
        assert kept == [(True, True), (False, False)]
        assert lock.take_away(address) is None  # it is nobody's by now


def test_a_disk_that_is_full_keeps_a_note_from_others_and_nothing_from_being_sent(
    make_rig: Callable[..., Rig],
    sandbox: Sandbox,
    monkeypatch: pytest.MonkeyPatch,
    wait_until: Callable[[Callable[[], object]], None],
) -> None:
    def fail(_lock: FileLock, _note: bytes) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    rig = make_rig(sandbox.url)
    rig.append(1)
    with monkeypatch.context() as full:
        full.setattr(FileLock, "write", fail)
        rig.round()
    assert numbers(sandbox) == [0]
    rig.delivery.flusher.note.leave()
    found = rig.outbox.sender_lock.knock()
    assert found is not None
    _, knock = found
    assert knock.send("there")
    wait_until(knock.is_heard)
    knock.close()


def test_a_child_tells_nobody_to_knock_at_its_parent(
    make_rig: Callable[..., Rig], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail() -> None:
        raise OSError(errno.EMFILE, "Too many open files")

    lock = make_rig("http://127.0.0.1:9").outbox.sender_lock
    assert lock.try_acquire()
    assert lock.listen(5.0) is not None
    lock.leave_note({"state": "backing_off"})
    lock.before_fork()
    lock.after_fork_in_child()
    monkeypatch.setattr(sender_lock, "Ear", fail)
    assert lock.try_acquire()
    assert lock.listen(5.0) is None
    lock.leave_note({"state": "idle"})
    assert lock.knock() is None
