"""Threads share commits; whoever waits for one is told how it went."""

from __future__ import annotations

import sys
import threading
from typing import TYPE_CHECKING

import pytest

from segops_durable import QueueFullError, StorageError
from segops_durable.outbox.groups import Group
from segops_durable.system.bell import Bell
from support.outboxes import events, take

if TYPE_CHECKING:
    from collections.abc import Callable

    from segops_durable.outbox import Outbox


def test_many_threads_share_commits_and_every_row_is_there(
    open_outbox: Callable[..., Outbox],
) -> None:
    outbox = open_outbox()
    start = threading.Barrier(8)

    def work(thread: int) -> None:
        start.wait()
        for number in range(50):
            outbox.commit.append([b'{"t":%d,"n":%d}' % (thread, number)])

    threads = [threading.Thread(target=work, args=(each,)) for each in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    rows = take(outbox, limit=500).rows
    assert len({row.data for row in rows}) == 400
    assert all(row.is_intact for row in rows)
    for thread_number in range(8):  # each thread's own order is kept
        mine = [row.data for row in rows if b'"t":%d,' % thread_number in row.data]
        assert mine == sorted(mine, key=lambda data: int(data.split(b":")[-1][:-1]))


class _Arrivals(Bell):
    """What the leader of a group waits for, which says that it does, and that it was rung."""

    def __init__(self) -> None:
        super().__init__()
        self.is_awaited, self.is_rung = threading.Event(), threading.Event()
        self.patience = 20.0

    def ring(self) -> None:
        self.is_rung.set()

    def wait(self, seconds: float) -> None:
        self.is_awaited.set()
        assert seconds > 0
        assert self.is_rung.wait(self.patience) or not self.patience


def test_threads_that_were_let_go_together_share_the_next_commit(
    open_outbox: Callable[..., Outbox],
) -> None:
    outbox = open_outbox()
    commit = outbox.commit
    commit._crowd, commit._arrivals = 3, (arrivals := _Arrivals())

    def work() -> None:
        arrivals.is_awaited.wait(60)
        commit.append(events(1, first=1))

    others = [threading.Thread(target=work) for _ in range(2)]
    for other in others:
        other.start()
    commit.append(events(1))
    assert commit._crowd == 3
    for other in others:
        other.join(60)
    assert outbox.waiting.counts().pending == 3


def test_who_does_not_come_again_is_waited_for_once(open_outbox: Callable[..., Outbox]) -> None:
    outbox = open_outbox()
    commit = outbox.commit
    commit._crowd, commit._arrivals = 16, (arrivals := _Arrivals())
    arrivals.patience = 0
    commit.append(events(1))
    assert arrivals.is_awaited.is_set()
    arrivals.is_awaited.clear()
    commit.append(events(1, first=1))
    assert not arrivals.is_awaited.is_set()
    assert outbox.waiting.counts().pending == 2


def test_a_failed_commit_is_told_to_every_thread_that_waited_for_it(
    open_outbox: Callable[..., Outbox],
) -> None:
    outbox = open_outbox()
    writer = outbox._store._live.current().writer
    writer.execute("PRAGMA max_page_count = 1")  # no page more than there are
    outcomes: list[Exception] = []
    start = threading.Barrier(8)

    def work() -> None:
        start.wait()
        try:
            outbox.commit.append([b"x" * 100_000])
        except QueueFullError as error:
            outcomes.append(error)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(outcomes) == 8
    writer.execute("PRAGMA max_page_count = 1000000")
    outbox.commit.append(events(1))
    assert outbox.waiting.counts().pending == 1


def test_a_call_from_a_signal_handler_within_a_commit_raises_and_does_not_hang(
    open_outbox: Callable[..., Outbox],
) -> None:
    outbox = open_outbox()
    with pytest.raises(StorageError, match="signal handler"):
        outbox._store.write(lambda _queue: outbox.commit.append(events(1)))
    group = outbox.commit._open_group = Group()  # this thread leads a group that is still open
    with group.finished, pytest.raises(StorageError, match="signal handler"):
        outbox.commit.append(events(1))
    outbox.commit.append(events(1))
    assert outbox.waiting.counts().pending == 1


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
            outbox.commit.append(events(1))
        except (Interrupt, StorageError):
            pass
        else:
            break
        finally:
            sys.setprofile(None)
        survivor = threading.Thread(target=outbox.commit.append, args=(events(1),), daemon=True)
        survivor.start()
        survivor.join(60)
        assert not survivor.is_alive(), f"another thread hangs after an interrupt at call {point}"
        outbox.commit.append(events(1))
    assert 10 < point < 499
    assert outbox.waiting.counts().pending >= 2 * (point - 1)
