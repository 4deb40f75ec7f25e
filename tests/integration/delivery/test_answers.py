from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import pytest

import segops_durable
from segops_durable import Cause, ConfigurationError, Event, State
from support.events import numbers, track
from support.peer import Peer, Request, answer
from support.picky import Picky

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from segops_durable import SegOpsClient, SegOpsError
    from segops_durable.sandbox import Sandbox
    from support.rig import Rig

pytestmark = pytest.mark.one_python


# Accepted, and skipped


def test_what_was_accepted_is_settled_whatever_the_clock_says(
    make_rig: Callable[..., Rig],
) -> None:
    """An answer that cannot be noted would be asked for again: the events would arrive twice."""
    with Picky(set(), b"") as segops:
        rig = make_rig(segops.url)
        rig.append(1)
        rig.clock.set(3e11)  # past all that a date can say
        for _ in range(3):
            rig.round()
        assert segops.accepted == Counter([0])
        assert rig.outbox.waiting.counts().pending == 0


def test_a_batch_that_was_skipped_as_a_whole_goes_to_the_dead_letters(
    make_client: Callable[..., SegOpsClient], sandbox: Sandbox
) -> None:
    told: list[SegOpsError] = []
    client = make_client(on_error=told.append)
    client.track_many([Event("not an id", "page_viewed", payload={"n": n}) for n in range(3)])
    result = client.flush(timeout=60)
    assert (result.sent, result.pending, result.dead) == (0, 0, 3)
    assert client.stats().last_accepted_at is None
    assert {letter.cause for letter in client.dead_letters()} == {Cause.REFUSED}
    (error,) = told
    assert isinstance(error, segops_durable.SkippedEventsError)
    assert (error.skipped, error.batch_size, error.status) == (3, 3, 202)
    assert [event["payload"]["n"] for event in error.events] == [0, 1, 2]
    assert sandbox.events() == []


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
    assert client.flush(timeout=60).blocked
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
    assert client.flush(timeout=60).ok
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
    assert client.flush(timeout=60).ok
    assert numbers(sandbox) == [0]


def test_a_new_public_key_mints_new_tokens(
    make_client: Callable[..., SegOpsClient], sandbox: Sandbox
) -> None:
    client = make_client("pk_old")
    track(client, 1)
    assert client.flush(timeout=60).ok
    sandbox.configure(revoked_keys=["pk_old"])
    client.set_api_key("pk_new")
    track(client, 1, first=1)
    assert client.flush(timeout=60).ok
    assert numbers(sandbox) == [0, 1]


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
        counts = rig.outbox.waiting.counts()
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
