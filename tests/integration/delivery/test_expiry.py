"""What waits for longer than `max_age` goes to the dead letters: never what is young."""

from __future__ import annotations

import sqlite3
from collections import Counter
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from segops_durable import Cause, Event, ExpiredEventsError, StorageError
from segops_durable.outbox import Take
from segops_durable.outbox.expiry import DAY, YEAR
from segops_durable.outbox.outbox import Outbox
from support.clock import MovableClock
from support.events import numbered
from support.kiosk import Kiosk, event
from support.outboxes import events
from support.peer import Peer
from support.sessions import Sessions

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from support.rig import Rig

pytestmark = pytest.mark.one_python

HOUR = 3600.0


@pytest.fixture(name="segops")
def accepting_segops() -> Iterator[Peer]:
    """A SegOps that takes all events."""
    with Peer(lambda request: peer.accept(request)) as peer:  # noqa: PLW0108 - it is made just now
        yield peer


def deaf(segops: Peer) -> None:
    """Have it lose each request: nobody knows whether it arrived."""
    segops.react = lambda _request: None


def causes(rig: Rig) -> Counter[Cause]:
    return Counter(letter.cause for letter in rig.outbox.dead_letters)


def dated(count: int, first: int = 0) -> list[Event]:
    """Events that say themselves when they occurred: only the time of day tells their age."""
    return [
        Event("u", "e", occurred_at="2020-01-01T00:00:00Z", payload={"n": n})
        for n in range(first, first + count)
    ]


def expired_of(rig: Rig) -> list[int]:
    return [each.expired for each in rig.told if isinstance(each, ExpiredEventsError)]


def end(rig: Rig) -> None:
    """End it as a process does that is not killed: what has not left is nobody's again."""
    rig.delivery.sender.give_back()
    rig.close()


def whole_round(rig: Rig) -> None:
    """A round as the thread runs it, with what is told after it."""
    rig.delivery.flusher._guarded_round()


def test_what_is_too_old_is_not_sent_but_kept_and_told_of_once(
    make_rig: Callable[..., Rig], segops: Peer
) -> None:
    rig = make_rig(segops.url, max_age=HOUR)
    rig.track(*numbered(1100))
    rig.track(*dated(10, first=1100))
    rig.clock.move(HOUR + 1)
    rig.track(*numbered(30, first=2000))
    whole_round(rig)
    rig.round(is_asked_for=True)
    assert segops.accepted == Counter(range(2000, 2030))
    counts = rig.outbox.waiting.counts()
    assert (counts.pending, counts.dead, counts.expired_total) == (0, 1110, 1110)
    assert causes(rig) == {Cause.EXPIRED: 1110}
    assert expired_of(rig) == [1110]
    assert counts.accepted_total == 30


def test_what_is_exactly_as_old_as_may_be_is_sent(
    make_rig: Callable[..., Rig], segops: Peer
) -> None:
    rig = make_rig(segops.url, max_age=HOUR)
    rig.track(*numbered(5))
    rig.clock.move(HOUR)
    rig.round(is_asked_for=True)
    assert segops.accepted == Counter(range(5))


def test_without_it_nothing_is_too_old(make_rig: Callable[..., Rig], segops: Peer) -> None:
    rig = make_rig(segops.url)
    rig.track(*numbered(5))
    rig.clock.move(50 * YEAR)
    rig.round(is_asked_for=True)
    assert segops.accepted == Counter(range(5))


def test_it_goes_while_segops_is_away_and_nothing_is_written_where_nothing_does(
    make_rig: Callable[..., Rig], segops: Peer
) -> None:
    url = segops.url
    rig = make_rig(url.rpartition(":")[0] + ":9", max_age=HOUR)  # nobody listens there
    for number in range(30):
        rig.append(10, first=10 * number)
        rig.next_round()
        rig.clock.move(HOUR / 10)
    rig.next_round()
    counts = rig.outbox.waiting.counts()
    assert counts.pending < 120
    assert counts.expired_total == 300 - counts.pending, "also those that were marked, and unsent"
    with closing(sqlite3.connect(rig.outbox.path)) as file:
        before = file.execute("PRAGMA data_version").fetchone()
        rig.next_round()
        assert file.execute("PRAGMA data_version").fetchone() == before


def test_a_batch_that_may_have_been_sent_never_expires(
    make_rig: Callable[..., Rig], segops: Peer
) -> None:
    deaf(segops)
    rig = make_rig(segops.url, max_age=HOUR, max_retries=0)
    rig.append(40)
    rig.round()
    sent = segops.requests[0]
    rig.clock.move(DAY)
    rig.round()
    assert rig.outbox.waiting.counts().expired_total == 20, "the one behind it"
    rig.close()
    segops.react = segops.accept
    again = make_rig(segops.url, rig.clock, max_age=HOUR)
    again.clock.move(DAY)
    again.round(is_asked_for=True)
    assert (segops.requests[-1].key, segops.requests[-1].body) == (sent.key, sent.body)
    assert segops.accepted == Counter(range(20))


def test_events_that_grow_too_old_in_the_middle_of_a_round_are_not_sent(
    make_rig: Callable[..., Rig], segops: Peer
) -> None:
    rig = make_rig(segops.url, max_age=HOUR)

    def accept_slowly(request: object) -> bytes:
        rig.clock.move(HOUR / 4)
        return segops.accept(request)  # type: ignore[arg-type]  # it is a request

    segops.react = accept_slowly
    rig.append(2000)
    rig.round(is_asked_for=True)
    assert segops.accepted == Counter(range(100))
    assert causes(rig) == {Cause.EXPIRED: 1900}


def test_what_is_put_back_counts_anew_and_keeps_when_it_was_tracked(
    make_rig: Callable[..., Rig], segops: Peer
) -> None:
    rig = make_rig(segops.url, max_age=HOUR)
    rig.append(25)
    rig.clock.move(2 * HOUR)
    rig.round(is_asked_for=True)
    tracked = {letter.tracked_at for letter in rig.outbox.dead_letters}
    assert rig.outbox.dead_letters.retry() == 25
    rig.append(5, first=25)
    rig.clock.move(HOUR / 2)
    rig.outbox.expiry.sweep(())
    assert rig.outbox.waiting.counts().expired_total == 25, "none again"
    rig.clock.move(HOUR)
    rig.outbox.expiry.sweep(())
    assert rig.outbox.waiting.counts().expired_total == 55, "an hour later they are too old again"
    assert tracked <= {letter.tracked_at for letter in rig.outbox.dead_letters}
    assert rig.outbox.dead_letters.retry() == 30
    rig.round(is_asked_for=True)
    assert segops.accepted == Counter(range(30))


def test_under_a_public_key_that_of_a_user_for_whom_nobody_signs_goes_too(
    make_rig: Callable[..., Rig],
) -> None:
    kiosk, clock = Kiosk(), MovableClock()
    with Sessions(clock.time) as segops:
        options = {"api_key": "pk_test", "get_user": kiosk.get_user, "max_age": HOUR}
        rig = make_rig(segops.url, clock, **options)
        kiosk.user = "ann"
        rig.track(*(event("ann", n) for n in range(3)))
        kiosk.user = None
        rig.round()
        clock.move(2 * HOUR)
        rig.round()
        assert rig.outbox.waiting.counts().pending == 0
        assert causes(rig) == {Cause.EXPIRED: 3}


# Clocks


def test_a_clock_that_was_never_set_tells_the_age_within_a_boot_and_after_it_of_nothing(
    make_rig: Callable[..., Rig],
) -> None:
    clock = MovableClock(1000.0)  # 1970
    rig = make_rig("http://127.0.0.1:9", clock, max_age=HOUR)
    rig.track(*numbered(5))
    rig.track(*dated(5, first=5))
    clock.move(HOUR / 2)
    rig.round()
    assert rig.outbox.waiting.counts().pending == 10
    clock.set(1_800_000_000.0)  # the network has come, and with it the time
    rig.round()
    assert rig.outbox.waiting.counts().pending == 10
    clock.move(HOUR)
    rig.round()
    assert causes(rig) == {Cause.EXPIRED: 5}, "of the others nobody knows"
    rig.track(*numbered(3, first=10))
    clock.boot = 2
    clock.set(1_800_000_000.0 + DAY)
    rig.round()
    assert causes(rig) == {Cause.EXPIRED: 8}
    clock.move(10 * DAY)
    rig.round()
    assert rig.outbox.waiting.counts().pending == 5, "as long as it takes"


@pytest.mark.parametrize("is_restarted", [False, True])
def test_a_clock_that_is_set_years_ahead_and_back_makes_nothing_old(
    make_rig: Callable[..., Rig], *, is_restarted: bool
) -> None:
    clock = MovableClock()
    rig = make_rig("http://127.0.0.1:9", clock, max_age=HOUR)
    rig.track(*numbered(5))
    rig.track(*dated(5, first=5))
    rig.round()
    clock.set(5 * YEAR)
    if is_restarted:
        end(rig)
        rig = make_rig("http://127.0.0.1:9", clock, max_age=HOUR)
    rig.track(*dated(5, first=10))
    for _ in range(5):
        clock.move(HOUR / 10)
        rig.round()
    assert rig.outbox.waiting.counts().pending == 15
    clock.set(0.0)
    rig.round()
    assert rig.outbox.waiting.counts().pending == 15
    clock.move(HOUR)
    rig.round()
    assert rig.outbox.waiting.counts().pending == 5, "of the last five the clock said the future"


def test_a_machine_that_was_off_for_a_week_drops_what_it_had_and_one_off_for_years_a_day_later(
    make_rig: Callable[..., Rig],
) -> None:
    clock = MovableClock()
    rig = make_rig("http://127.0.0.1:9", clock, max_age=HOUR)
    rig.track(*numbered(5))
    rig.round()
    end(rig)
    clock.boot = 2
    clock.move(7 * DAY)
    rig = make_rig("http://127.0.0.1:9", clock, max_age=HOUR)
    rig.round()
    assert causes(rig) == {Cause.EXPIRED: 5}
    rig.track(*numbered(5))
    rig.round()
    end(rig)
    clock.boot = 3
    clock.move(3 * YEAR)
    rig = make_rig("http://127.0.0.1:9", clock, max_age=HOUR)
    rig.round()
    assert causes(rig) == {Cause.EXPIRED: 5}, "it may as well be the clock"
    clock.move(DAY)
    rig.round()
    assert causes(rig) == {Cause.EXPIRED: 10}


def test_a_row_whose_time_is_damaged_is_not_taken_for_old(
    make_rig: Callable[..., Rig], segops: Peer
) -> None:
    rig = make_rig(segops.url, max_age=HOUR)
    rig.track(*dated(3))
    with closing(sqlite3.connect(rig.outbox.path)) as file, file:
        file.execute("UPDATE queue_outbox SET timestamp = timestamp - 1e7 WHERE _id = 2")
    rig.round(is_asked_for=True)
    assert segops.accepted == Counter([0, 2])
    assert causes(rig) == {Cause.DAMAGED: 1}


# The disk


def test_a_disk_that_fails_to_bury_is_told_of_and_keeps_nothing_from_being_sent(
    make_rig: Callable[..., Rig], segops: Peer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_unsent: object) -> int:
        raise StorageError("the disk is full", path="outbox.db")

    rig = make_rig(segops.url, max_age=HOUR)
    rig.append(5)
    monkeypatch.setattr(rig.outbox.expiry, "sweep", fail)
    rig.round(is_asked_for=True)
    assert [type(each) for each in rig.told] == [StorageError]
    assert segops.accepted == Counter(range(5))


def test_a_transaction_buries_no_more_than_a_page_and_what_was_begun_is_gone_on_with(
    queue_path: Path,
) -> None:
    clock = MovableClock()
    made = {"api_url": "https://x.y", "key_fingerprint": "f", "clock": clock, "max_age": HOUR}
    with closing(Outbox(queue_path, **made)) as outbox:  # type: ignore[arg-type]  # by their names
        outbox.commit.append(events(1700))
        clock.move(2 * HOUR)
        taken = outbox.batches.take(Take(20))
        assert (taken.batch, taken.expired) == (None, 500)
        assert outbox.expiry.sweep(()) == 500
    with closing(Outbox(queue_path, **made)) as outbox:  # type: ignore[arg-type]  # by their names
        assert [outbox.expiry.sweep(()) for _ in range(3)] == [500, 200, 0]
        assert outbox.waiting.counts().expired_total == 1700
