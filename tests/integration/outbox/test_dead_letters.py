"""What was refused for good is kept, and can be read, put back or discarded."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import pytest

from segops_durable import Cause, ConfigurationError
from support.events import numbers, track
from support.peer import Peer, Request, answer
from support.picky import REFUSAL, Picky

if TYPE_CHECKING:
    from collections.abc import Callable

    from segops_durable import SegOpsClient
    from segops_durable.sandbox import Sandbox


def test_events_that_perhaps_were_accepted_are_put_back_only_by_name(
    make_client: Callable[..., SegOpsClient], sandbox: Sandbox
) -> None:
    client = make_client()
    track(client, 2)
    client.track(user_id="not an id", event_type="page_viewed", payload={"n": 2})
    assert client.flush(timeout=60).dead == 3
    letters = list(client.dead_letters())
    assert {letter.cause for letter in letters} == {Cause.SKIPPED}
    assert letters[0].reason == "1 of 3 refused, the server does not say which"
    assert client.retry_dead_letters() == 0
    assert client.retry_dead_letters([letters[1].id]) == 1
    assert client.flush(timeout=60).ok
    assert numbers(sandbox) == [0, 1, 1]
    assert client.stats().dead == 2


def test_a_dead_letter_has_the_event_when_why_and_the_servers_words(
    make_client: Callable[..., SegOpsClient],
) -> None:
    with Picky({1}, REFUSAL) as segops:
        client = make_client(api_url=segops.url)
        track(client, 3)
        assert client.flush(timeout=60).dead == 1
        (letter,) = client.dead_letters()
        assert letter.event is not None
        assert letter.event["payload"] == {"n": 1}
        assert (letter.cause, letter.status) == (Cause.REFUSED, 400)
        assert "Not like this." in letter.answer
        assert letter.reason.startswith("SegOps refused an event")
        assert letter.tracked_at <= letter.died_at
        client.shutdown(0)


def test_dead_letters_survive_a_restart_and_can_be_put_back_or_discarded(
    make_client: Callable[..., SegOpsClient],
) -> None:
    with Picky({1, 2, 3}, REFUSAL) as segops:
        client = make_client(api_url=segops.url)
        track(client, 5)
        assert client.flush(timeout=60).dead == 3
        client.shutdown()
        client = make_client(api_url=segops.url)
        first, second, third = client.dead_letters()
        assert client.discard_dead_letters([second.id, 999]) == 1
        segops.poison = {3}  # mended, for the other one
        assert client.retry_dead_letters() == 2
        assert client.stats().pending == 2
        result = client.flush(timeout=60)
        assert (result.sent, result.pending) == (1, 0)
        (again,) = client.dead_letters()
        assert again.event == third.event
        assert again.id > third.id
        assert again.tracked_at == third.tracked_at
        assert first.id not in [letter.id for letter in client.dead_letters()]
        client.shutdown(0)
    assert segops.accepted == Counter({0: 1, 4: 1, 1: 1})


def test_more_dead_letters_than_a_page_are_all_read_and_put_back(
    make_client: Callable[..., SegOpsClient],
) -> None:
    def skip(request: Request) -> bytes:
        return answer(202, {"queued": 0, "skipped": len(request.numbers)})

    with Peer(skip) as segops:
        client = make_client(api_url=segops.url, batch_size=500)
        track(client, 1100)
        assert client.flush(timeout=30).pending == 0
        assert client.stats().dead == 1100
        assert [each.event and each.event["payload"]["n"] for each in client.dead_letters()] == (
            list(range(1100))
        )
        assert client.retry_dead_letters() == 1100
        segops.react = segops.accept
        assert client.flush(timeout=30).ok
        client.shutdown(0)
    assert segops.accepted == Counter(range(1100))


def test_ids_that_are_no_integers_are_refused_and_nothing_moves(
    make_client: Callable[..., SegOpsClient],
) -> None:
    client = make_client()
    for use in (client.retry_dead_letters, client.discard_dead_letters):
        with pytest.raises(ConfigurationError, match="ids must be integers, got '3'"):
            use([1, "3"])  # type: ignore[list-item]


def test_the_newest_dead_letters_are_read_with_the_ids_that_they_had_in_the_queue(
    make_client: Callable[..., SegOpsClient], sandbox: Sandbox
) -> None:
    client = make_client()
    letters = client._outbox.dead_letters
    assert (letters.newest_id(), letters.latest(9)) == (0, [])
    sandbox.faults(status=400)
    for _ in range(5):
        track(client, 1)
        client.flush(timeout=60)
    assert letters.newest_id() == 5
    assert [(row_id, letter.id) for row_id, letter in letters.latest(2)] == [(5, 5), (4, 4)]
    assert [letter.id for _, letter in letters.latest(9, before=4)] == [3, 2, 1]
    assert [letter.id for _, letter in letters.latest(2, before=1 << 70)] == [5, 4]
    assert letters.latest(9, before=-(1 << 70)) == []
