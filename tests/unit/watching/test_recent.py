from __future__ import annotations

import pytest

from segops_durable.api import Meaning, Verdict
from segops_durable.outbox import Batch, Head
from segops_durable.outbox.records.rows import Row
from segops_durable.watching.recent import MOST, Recent

pytestmark = pytest.mark.one_python

DATA = b'{"user_id":"u","event_type":"paid","payload":{}}'


def batch(*ids: int) -> Batch:
    rows = tuple(Row(number, DATA, 1.0, 0, "", None, None) for number in ids)
    return Batch(rows, "key")


def fates(recent: Recent) -> dict[int, str]:
    return {line.id: line.fate for line in recent.lines()}


def waiting(*ids: int) -> list[Head]:
    return [Head(number, 1.0, DATA, len(DATA)) for number in ids]


def test_an_event_that_was_sent_while_the_disk_was_read_is_said_to_be_sent() -> None:
    recent = Recent()
    recent.note_waiting(waiting(1, 2))
    missing = recent.on_disk()  # as somebody reads the disk, its request ends
    recent.begin(batch(1))(Verdict(Meaning.ACCEPTED, 202))
    recent.note_left(missing, {}, "it was removed")
    assert fates(recent) == {1: "sent", 2: "gone"}


def test_an_event_is_on_its_way_until_its_request_ends() -> None:
    recent = Recent()
    end = recent.begin(batch(1))
    assert fates(recent) == {1: "sending"}
    end(None)
    assert fates(recent) == {1: "waiting"}


@pytest.mark.parametrize(
    ("verdict", "fate", "words"),
    [
        (Verdict(Meaning.ACCEPTED, 202), "sent", ""),
        (Verdict(Meaning.ACCEPTED, 202, skipped=1), "sent", "skipped 1 of its batch of 2"),
        (Verdict(Meaning.ACCEPTED, 202, skipped=2), "dead", "skipped all 2"),
        (Verdict(Meaning.REFUSED, 400, "no"), "waiting", "fewer at a time"),
        (Verdict(Meaning.UNREACHABLE, None, "no route"), "waiting", "tried: no route"),
        (Verdict(Meaning.BUSY, 429, "later"), "waiting", "tried: 429 later"),
    ],
)
def test_what_became_of_a_batch_is_said_of_its_events(
    verdict: Verdict, fate: str, words: str
) -> None:
    recent = Recent()
    recent.begin(batch(1, 2))(verdict)
    assert [(line.fate, words in line.words) for line in recent.lines()] == [(fate, True)] * 2


def test_batches_of_a_backlog_behind_the_last_events_are_not_kept() -> None:
    recent = Recent()
    recent.note_waiting(waiting(*range(1000, 1000 + MOST)))
    recent.lines()
    recent.begin(batch(1, 2, 3))(Verdict(Meaning.ACCEPTED, 202))
    assert min(fates(recent)) == 1000


def test_however_many_events_are_seen_few_are_kept() -> None:
    recent = Recent()
    for number in range(5000):
        recent.begin(batch(number))(Verdict(Meaning.ACCEPTED, 202))
    assert len(recent._seen) <= 2 * MOST
    assert max(fates(recent)) == 4999
