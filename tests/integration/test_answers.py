"""What each answer of the server leads to: a test for each row of the table."""

from __future__ import annotations

import math
import threading
from collections import Counter
from email.utils import formatdate
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest

import segops_durable
from segops_durable import Cause, ConfigurationError, Event, State
from support.events import numbers, track
from support.peer import Peer, Request, answer

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from segops_durable import SegOpsClient, SegOpsError
    from segops_durable.sandbox import Sandbox
    from support.rig import Rig


class Picky(Peer):
    """A SegOps that refuses a batch as a whole if it holds an event that it does not like."""

    def __init__(self, poison: set[int], refusal: bytes) -> None:
        super().__init__(self._pick)
        self.poison = poison
        self.refusal = refusal

    def _pick(self, request: Request) -> bytes:
        if self.poison.intersection(request.numbers):
            return self.refusal
        return self.accept(request)


REFUSAL = answer(400, {"payload": ["Not like this."]})


# Accepted, and skipped


def test_a_batch_that_was_skipped_as_a_whole_goes_to_the_dead_letters(
    make_client: Callable[..., SegOpsClient], sandbox: Sandbox
) -> None:
    told: list[SegOpsError] = []
    client = make_client(on_error=told.append)
    client.track_many([Event("not an id", "page_viewed", payload={"n": n}) for n in range(3)])
    result = client.flush(timeout=10)
    assert (result.sent, result.pending, result.dead) == (0, 0, 3)
    assert client.stats().last_accepted_at is None
    assert {letter.cause for letter in client.dead_letters()} == {Cause.REFUSED}
    (error,) = told
    assert isinstance(error, segops_durable.SkippedEventsError)
    assert (error.skipped, error.batch_size, error.status) == (3, 3, 202)
    assert [event["payload"]["n"] for event in error.events] == [0, 1, 2]
    assert sandbox.events() == []


def test_events_that_perhaps_were_accepted_are_put_back_only_by_name(
    make_client: Callable[..., SegOpsClient], sandbox: Sandbox
) -> None:
    client = make_client()
    track(client, 2)
    client.track(user_id="not an id", event_type="page_viewed", payload={"n": 2})
    assert client.flush(timeout=10).dead == 3
    letters = list(client.dead_letters())
    assert {letter.cause for letter in letters} == {Cause.SKIPPED}
    assert letters[0].reason == "1 of 3 refused, the server does not say which"
    assert client.retry_dead_letters() == 0
    assert client.retry_dead_letters([letters[1].id]) == 1
    assert client.flush(timeout=10).ok
    assert numbers(sandbox) == [0, 1, 1]
    assert client.stats().dead == 2


# Refused


@pytest.mark.parametrize("status", [400, 422])
def test_three_poison_events_in_a_batch_of_500_are_found_and_the_others_delivered_once(
    make_client: Callable[..., SegOpsClient], status: int
) -> None:
    poison = {17, 250, 251}
    told: list[SegOpsError] = []
    with Picky(poison, answer(status, {"payload": ["Not like this."]})) as segops:
        client = make_client(api_url=segops.url, batch_size=500, on_error=told.append)
        track(client, 500)
        result = client.flush(timeout=30)
        client.shutdown(0)
    assert (result.sent, result.pending, result.dead) == (497, 0, 3)
    assert segops.accepted == Counter(set(range(500)) - poison)
    levels = Counter(number for request in segops.requests for number in request.numbers)
    assert max(levels.values()) <= math.ceil(math.log2(500)) + 1
    keys = Counter(request.key for request in segops.requests)
    assert max(keys.values()) == 1
    assert [error.events[0]["payload"]["n"] for error in told if error.events] == sorted(poison)  # type: ignore[attr-defined]
    assert {(type(error), error.status, error.batch_size) for error in told} == {  # type: ignore[attr-defined]
        (segops_durable.RefusedError, status, 1)
    }


def test_a_dead_letter_has_the_event_when_why_and_the_servers_words(
    make_client: Callable[..., SegOpsClient],
) -> None:
    with Picky({1}, REFUSAL) as segops:
        client = make_client(api_url=segops.url)
        track(client, 3)
        assert client.flush(timeout=10).dead == 1
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
        assert client.flush(timeout=10).dead == 3
        client.shutdown()
        client = make_client(api_url=segops.url)
        first, second, third = client.dead_letters()
        assert client.discard_dead_letters([second.id, 999]) == 1
        segops.poison = {3}  # mended, for the other one
        assert client.retry_dead_letters() == 2
        assert client.stats().pending == 2
        result = client.flush(timeout=10)
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
        assert client.flush(timeout=30).dead == 1100
        assert [each.event and each.event["payload"]["n"] for each in client.dead_letters()] == (
            list(range(1100))
        )
        assert client.retry_dead_letters() == 1100
        segops.react = segops.accept
        assert client.flush(timeout=30).sent == 1100
        client.shutdown(0)
    assert segops.accepted == Counter(range(1100))


def test_ids_that_are_no_integers_are_refused_and_nothing_moves(
    make_client: Callable[..., SegOpsClient],
) -> None:
    client = make_client()
    for use in (client.retry_dead_letters, client.discard_dead_letters):
        with pytest.raises(ConfigurationError, match="ids must be integers, got '3'"):
            use([1, "3"])  # type: ignore[list-item]


def test_a_crash_in_the_middle_of_halving_goes_on_with_the_halves(
    make_rig: Callable[..., Rig],
) -> None:
    with Picky({0}, REFUSAL) as segops:
        rig = make_rig(segops.url, batch_size=8)
        rig.append(8)

        def refuse_once_then_vanish(request: Request) -> bytes | None:
            return REFUSAL if len(request.numbers) == 8 else None

        segops.react = refuse_once_then_vanish
        rig.round()
        halves = segops.requests[-1]
        rig.close()
        segops.react = segops._pick
        again = make_rig(segops.url, batch_size=8)
        again.round()
        first = segops.requests[segops.requests.index(halves) + 4]  # after its retries
        assert (first.key, first.body) == (halves.key, halves.body)
        assert again.outbox.counts().dead == 1
    assert segops.accepted == Counter(range(1, 8))


# Too large


def test_a_batch_that_is_too_large_is_halved_and_the_next_ones_start_at_what_worked(
    make_client: Callable[..., SegOpsClient], sandbox: Sandbox
) -> None:
    sandbox.faults(body_limit=1000)
    client = make_client(batch_size=100)
    track(client, 300, first=100)
    assert client.flush(timeout=30).ok
    answers = [request["answer"] for request in sandbox.requests()]
    refused = answers.count("413")
    assert 1 <= refused <= math.ceil(math.log2(100))
    assert "413" not in answers[answers.index("202") :]
    assert sorted(numbers(sandbox)) == list(range(100, 400))
    bodies = [each["body_bytes"] for each in sandbox.requests() if each["answer"] == "202"]
    assert min(bodies[-10:-1]) > 300  # and not at one event each


def test_one_event_that_is_too_large_goes_to_the_dead_letters(
    make_client: Callable[..., SegOpsClient],
) -> None:
    def react(request: Request) -> bytes:
        if len(request.body) > 5000:
            return answer(413, "<html>too large</html>", content_type="text/html")
        return segops.accept(request)

    with Peer(react) as segops:
        client = make_client(api_url=segops.url)
        track(client, 5)
        client.track(user_id="u", event_type="e", payload={"n": 5, "blob": "x" * 6000})
        track(client, 5, first=6)
        result = client.flush(timeout=10)
        assert (result.sent, result.dead) == (10, 1)
        (letter,) = client.dead_letters()
        assert (letter.cause, letter.status) == (Cause.TOO_LARGE, 413)
        client.shutdown(0)
    assert segops.accepted == Counter(set(range(11)) - {5})


def test_a_learned_limit_is_forgotten_after_ten_minutes(make_rig: Callable[..., Rig]) -> None:
    def react(request: Request) -> bytes:
        return segops.accept(request) if len(request.body) <= limit else answer(413, {})

    limit = 300
    with Peer(react) as segops:
        rig = make_rig(segops.url)
        rig.append(20)
        rig.round()
        limit = 1_000_000
        rig.append(20)
        rig.round()
        assert len(segops.requests[-1].numbers) < 20
        rig.clock.move(601)
        rig.append(20)
        rig.round()
        assert len(segops.requests[-1].numbers) == 20


# Credentials, and a wrong address


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (401, segops_durable.CredentialsError),
        (403, segops_durable.CredentialsError),
        (404, segops_durable.WrongAddressError),
        (405, segops_durable.WrongAddressError),
        (410, segops_durable.WrongAddressError),
    ],
)
def test_a_wrong_key_or_address_keeps_everything_is_told_of_once_and_resumes_by_itself(
    make_rig: Callable[..., Rig], status: int, error: type[SegOpsError]
) -> None:
    with Peer(lambda _request: answer(status, {"detail": "No."})) as segops:
        rig = make_rig(segops.url)
        rig.append(3)
        waits: list[float] = []
        for _ in range(12):
            rig.next_round()
            rig.append(1, first=len(waits) + 3)
            waits.append(rig.delivery.sender.pause_seconds)
        assert len(segops.requests) == 12  # one attempt each
        assert 150 <= waits[-1] <= 300  # a long back-off, by now
        assert rig.state == "unauthorised"
        assert rig.delivery.sender.retry_at is not None
        assert [(type(told), getattr(told, "status", None)) for told in rig.told] == [
            (error, status)
        ]
        segops.react = segops.accept
        rig.next_round()
        assert rig.state == "idle"
        assert segops.accepted == Counter(range(15))
        segops.react = lambda _request: answer(status, {"detail": "No."})
        rig.append(1)
        rig.next_round()
        assert len(rig.told) == 2  # it changed


def test_a_new_key_resumes_at_once(
    make_client: Callable[..., SegOpsClient],
    sandbox: Sandbox,
    wait_until: Callable[[Callable[[], object]], None],
) -> None:
    sandbox.configure(revoked_keys=["sk_old", "sk_older"])
    told: list[SegOpsError] = []
    client = make_client("sk_old", on_error=told.append)
    track(client, 2)
    assert client.flush(timeout=10).blocked
    client.set_api_key("sk_older")  # still the wrong one: told of again, as it is a change
    wait_until(lambda: len(told) == 2)
    client.set_api_key("sk_new")
    wait_until(lambda: numbers(sandbox) == [0, 1])
    wait_until(lambda: client.stats().state is State.IDLE)
    assert [type(error) for error in told] == [segops_durable.CredentialsError] * 2


def test_the_next_start_under_a_new_key_finds_what_waits_at_the_default_path(
    make_client: Callable[..., SegOpsClient],
    sandbox: Sandbox,
    default_directory: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    sandbox.faults(status=503)
    client = make_client("sk_old", queue_path=None, max_retries=0)
    track(client, 2)
    client.set_api_key("sk_new")
    client.shutdown(0)
    sandbox.faults()
    client = make_client("sk_new", queue_path=None)
    assert client.flush(timeout=10).ok
    assert numbers(sandbox) == [0, 1]
    assert "events wait" not in caplog.text
    assert len(list(default_directory.glob("*.db"))) == 1


def test_a_new_key_is_checked_and_the_old_one_stays(
    make_client: Callable[..., SegOpsClient], sandbox: Sandbox
) -> None:
    client = make_client("sk_secret1")
    for wrong in ("pk_other_kind", "mk_management", "sk_with space", ""):
        with pytest.raises(ConfigurationError, match="api_key") as caught:
            client.set_api_key(wrong)
        assert caught.value.field == "api_key"
        assert "secret1" not in str(caught.value)
    track(client, 1)
    assert client.flush(timeout=10).ok
    assert numbers(sandbox) == [0]


def test_a_new_public_key_mints_new_tokens(
    make_client: Callable[..., SegOpsClient], sandbox: Sandbox
) -> None:
    client = make_client("pk_old")
    track(client, 1)
    assert client.flush(timeout=10).ok
    sandbox.configure(revoked_keys=["pk_old"])
    client.set_api_key("pk_new")
    track(client, 1, first=1)
    assert client.flush(timeout=10).ok
    assert numbers(sandbox) == [0, 1]


# Busy


@pytest.mark.parametrize("status", [408, 425, 429, 503])
@pytest.mark.parametrize("form", ["seconds", "date"])
def test_no_request_is_made_before_a_retry_after_is_over_also_after_a_restart(
    make_rig: Callable[..., Rig], status: int, form: str
) -> None:
    with Peer(lambda _request: b"") as segops:
        rig = make_rig(segops.url)
        header = "600"
        if form == "date":  # by the server's clock, which is an hour ahead
            header = formatdate(rig.clock.time() + 3600 + 600, usegmt=True)
        date = formatdate(rig.clock.time() + 3600, usegmt=True)
        fields = {"Retry-After": header, "Date": date}
        segops.react = lambda _request: answer(status, {"detail": "Later."}, fields)
        rig.append(3)
        rig.round()
        assert len(segops.requests) == 1
        (error,) = rig.told
        assert isinstance(error, segops_durable.DeliveryError)
        assert error.retry_at is not None
        assert error.retry_at.timestamp() == pytest.approx(rig.clock.time() + 600)
        segops.react = segops.accept
        rig.clock.move(590)
        rig.round(is_asked_for=True)
        assert rig.delivery.sender.is_blocked
        rig.close()
        again = make_rig(segops.url, clock=rig.clock)
        again.round(is_asked_for=True)
        assert again.delivery.sender.state is State.RATE_LIMITED
        assert again.delivery.sender.is_blocked
        assert len(segops.requests) == 1
        rig.clock.move(11)
        again.round()
        assert len(segops.requests) == 2
    assert segops.accepted == Counter(range(3))


def test_a_retry_after_is_clamped_and_so_is_what_a_clock_set_back_makes_of_it(
    make_rig: Callable[..., Rig],
) -> None:
    patience = {"Retry-After": "999999"}
    with Peer(lambda _request: answer(429, {"detail": "Later."}, patience)) as segops:
        rig = make_rig(segops.url, max_retry_after=100.0)
        rig.append(1)
        rig.round()
        assert rig.delivery.sender.pause_seconds == 100
        rig.close()
        rig.clock.move(-86_400)
        again = make_rig(segops.url, clock=rig.clock, max_retry_after=100.0)
        again.round()
        assert again.delivery.sender.pause_seconds == 100
        segops.react = segops.accept
        again.next_round()
    assert segops.accepted == Counter(range(1))


def test_a_flush_says_blocked_and_a_shutdown_does_not_wait(
    make_client: Callable[..., SegOpsClient], sandbox: Sandbox
) -> None:
    sandbox.faults(status=429, retry_after=600)
    client = make_client()
    track(client, 1)
    result = client.flush(timeout=30)
    assert (result.blocked, result.pending) == (True, 1)
    stats = client.stats()
    assert stats.state is State.RATE_LIMITED
    assert stats.retry_at is not None
    assert client.shutdown(timeout=60).blocked
    assert len(sandbox.requests()) == 1


def test_requests_are_paced_so_that_no_minute_has_more_than_allowed(
    make_rig: Callable[..., Rig],
) -> None:
    times: list[float] = []

    def react(request: Request) -> bytes:
        times.append(rig.clock.monotonic())
        return segops.accept(request)

    with Peer(react) as segops:
        rig = make_rig(segops.url, max_requests_per_minute=30, batch_size=1)
        rig.append(100)
        rig.round()
    assert segops.accepted == Counter(range(100))
    assert all(later - earlier >= 2 - 1e-6 for earlier, later in pairwise(times))


def test_a_stop_ends_the_wait_for_a_turn(
    make_client: Callable[..., SegOpsClient],
    sandbox: Sandbox,
    wait_until: Callable[[Callable[[], object]], None],
) -> None:
    client = make_client(max_requests_per_minute=1)
    track(client, 1)
    wait_until(lambda: client.flush(timeout=1).ok)
    track(client, 1, first=1)
    assert client.shutdown(timeout=0.1).pending == 1
    assert not any(each.name == "segops-flusher" for each in threading.enumerate())
    assert numbers(sandbox) == [0]


# Unreachable, and not SegOps


@pytest.mark.parametrize(
    ("reply", "state", "error"),
    [
        (answer(500, {"detail": "Oh."}), State.BACKING_OFF, segops_durable.UnreachableError),
        (answer(503, "Sorry", content_type="text/html"), State.BACKING_OFF, None),
        (answer(302, "", {"Location": "/login"}), State.NOT_SEGOPS, None),
        (answer(200, "<html>", content_type="text/html"), State.NOT_SEGOPS, None),
        (answer(202, {"queued": True}), State.NOT_SEGOPS, segops_durable.NotSegOpsError),
        (answer(202, {"queued": 2, "skipped": 2}), State.NOT_SEGOPS, None),
        (answer(403, "<html>", content_type="text/html"), State.NOT_SEGOPS, None),
        (answer(407, "", content_type="text/html"), State.NOT_SEGOPS, None),
        (answer(401, "<html>", content_type="text/html"), State.NOT_SEGOPS, None),
        (None, State.BACKING_OFF, segops_durable.UnreachableError),
    ],
)
def test_whatever_is_no_answer_of_segops_is_retried_and_settles_nothing(
    make_rig: Callable[..., Rig],
    reply: bytes | None,
    state: State,
    error: type[SegOpsError] | None,
) -> None:
    with Peer(lambda _request: reply) as segops:
        rig = make_rig(segops.url)
        rig.append(3)
        rig.round()
        assert len(segops.requests) == 4
        assert len({(request.key, request.body) for request in segops.requests}) == 1
        assert rig.delivery.sender.state is state
        (told,) = rig.told
        assert isinstance(told, error or segops_durable.DeliveryError)
        assert (told.attempts, told.batch_size) == (4, 3)  # type: ignore[attr-defined]
        counts = rig.outbox.counts()
        assert (counts.pending, counts.dead) == (3, 0)
        segops.react = segops.accept
        rig.next_round()
    assert segops.accepted == Counter(range(3))
    assert len({request.key for request in segops.requests}) == 1


def test_a_name_that_does_not_resolve_and_an_answer_that_was_lost_lose_and_double_nothing(
    make_client: Callable[..., SegOpsClient], queue_path: Path
) -> None:
    told: list[SegOpsError] = []
    nowhere = queue_path.with_name("nowhere.db")
    client = make_client(
        api_url="https://nowhere.invalid", queue_path=nowhere, max_retries=0, on_error=told.append
    )
    track(client, 1)
    assert client.flush(timeout=30).pending == 1
    assert isinstance(told[0], segops_durable.UnreachableError)
    assert told[0].retry_at is not None

    def accept_and_say_nothing(request: Request) -> bytes | None:
        said = segops.accept(request)
        return said if len(segops.requests) > 1 else None

    with Peer(accept_and_say_nothing) as segops:
        client = make_client(api_url=segops.url)
        track(client, 2)
        assert client.flush(timeout=30).ok
        client.shutdown(0)
    first, again = segops.requests
    assert (first.key, first.body) == (again.key, again.body)


@pytest.mark.parametrize(
    "refusal",
    [
        answer(500, {"detail": "Server Error"}),
        answer(403, "<html>A firewall.</html>", content_type="text/html"),
        None,
    ],
)
def test_while_one_batch_fails_for_ever_those_behind_it_arrive_within_two_rounds(
    make_rig: Callable[..., Rig], refusal: Any
) -> None:
    with Picky({0}, refusal) as segops:
        rig = make_rig(segops.url)
        rig.append(50)
        rig.round()
        rig.next_round()
        assert segops.accepted == Counter(range(20, 50))
        rig.append(30, first=50)
        rig.next_round()  # no pause holds up what is new
        assert segops.accepted == Counter(range(20, 80))
        for _ in range(60):
            rig.next_round()
        # by now it is halved, so that its neighbours get through, and the culprit still waits
        assert segops.accepted == Counter(range(1, 80))
        assert rig.outbox.counts().pending == 1
        assert rig.delivery.sender.state is State.BACKING_OFF
        made = len(segops.requests)
        for _ in range(60):
            rig.next_round()  # five minutes
        assert len(segops.requests) - made < 15
        segops.poison = set()
        rig.round(is_asked_for=True)
    assert segops.accepted == Counter(range(80))
    assert rig.outbox.counts().dead == 0


def test_several_batches_that_fail_for_ever_do_not_block_those_behind_them(
    make_rig: Callable[..., Rig],
) -> None:
    with Picky({0, 20, 40, 60}, answer(500, {"detail": "Server Error"})) as segops:
        rig = make_rig(segops.url)
        rig.append(120)
        for _ in range(5):
            rig.next_round()
        assert set(range(80, 120)) <= set(segops.accepted)


def test_a_batch_refused_for_good_does_not_hold_up_those_behind_it(
    make_rig: Callable[..., Rig],
) -> None:
    with Picky(set(range(20)), REFUSAL) as segops:
        rig = make_rig(segops.url)
        rig.append(50)
        rig.round()
        assert segops.accepted == Counter(range(20, 50))
        counts = rig.outbox.counts()
        assert (counts.pending, counts.dead) == (0, 20)
