"""What a page is told of a client: by a real one, its outbox, and a real server."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from segops_durable import ConfigurationError
from segops_durable.aio import AsyncSegOpsClient
from segops_durable.api import Watch
from segops_durable.watching import ClientView

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from segops_durable import SegOpsClient
    from segops_durable.page import Glance
    from segops_durable.sandbox import Sandbox


@pytest.fixture
def make_view() -> Iterator[Callable[[SegOpsClient], ClientView]]:
    made = []

    def make(client: SegOpsClient) -> ClientView:
        view = ClientView(client)
        made.append(view)
        view.begin()
        return view

    yield make
    for each in made:
        each.end()
        each.close()


def fates(glance: Glance) -> list[tuple[str, str]]:
    return [(each.user, each.fate) for each in glance.events]


def test_an_event_is_shown_as_it_waits_and_as_it_is_sent(
    make_client: Callable[..., SegOpsClient], make_view: Callable[..., ClientView]
) -> None:
    client = make_client()
    client.track(user_id="before", event_type="paid")
    view = make_view(client)
    client.track(user_id="after", event_type="paid", payload={"n": 1})
    glance = view.look()
    assert fates(glance) == [("after", "waiting"), ("before", "waiting")]
    assert glance.events[0].text == '{"n": 1}'
    assert glance.figures["waiting"] == 2
    assert client.flush().ok
    glance = view.look()
    assert fates(glance) == [("after", "sent"), ("before", "sent")]
    assert (glance.figures["waiting"], glance.figures["accepted"]) == (0, 2)


def test_an_event_that_comes_and_leaves_between_two_looks_is_shown(
    make_client: Callable[..., SegOpsClient], make_view: Callable[..., ClientView]
) -> None:
    client = make_client()
    view = make_view(client)
    view.look()
    client.track(user_id="quick", event_type="paid")
    assert client.flush().ok
    assert fates(view.look()) == [("quick", "sent")]


def test_a_refused_event_is_shown_with_the_words_that_refused_it(
    make_client: Callable[..., SegOpsClient],
    make_view: Callable[..., ClientView],
    sandbox: Sandbox,
) -> None:
    client = make_client()
    view = make_view(client)
    sandbox.faults(status=400, json={"detail": "Malformed user_id."})
    client.track(user_id="u", event_type="paid")
    assert client.flush().dead == 1
    glance = view.look()
    assert fates(glance) == [("u", "dead")]
    assert glance.events[0].words == "Malformed user_id."
    assert [(each.user, each.cause, each.answer) for each in glance.letters] == [
        ("u", "refused", "Malformed user_id.")
    ]
    assert view.retry([glance.letters[0].id]) == 1
    sandbox.faults()
    assert client.flush().ok
    glance = view.look()
    assert fates(glance) == [("u", "sent"), ("u", "dead")]
    assert glance.letters == ()


def test_why_an_event_waits_is_shown_with_it_and_in_a_sentence(
    make_client: Callable[..., SegOpsClient],
    make_view: Callable[..., ClientView],
    sandbox: Sandbox,
) -> None:
    client = make_client(max_retries=0)
    view = make_view(client)
    sandbox.faults(status=503)
    client.track(user_id="u", event_type="paid")
    client.flush()
    glance = view.look()
    assert fates(glance) == [("u", "waiting")]
    assert glance.events[0].words == "tried: 503 A fault of the sandbox."
    assert glance.state == "backing_off"
    assert "cannot be reached" in glance.sentence
    assert glance.next_at is not None
    assert "503" in glance.details


def test_an_event_that_expired_is_shown_as_dead(
    make_client: Callable[..., SegOpsClient], make_view: Callable[..., ClientView]
) -> None:
    client = make_client(max_age=0.001)
    view = make_view(client)
    client.track(user_id="u", event_type="paid")
    view.look()
    client.flush()
    glance = view.look()
    assert fates(glance) == [("u", "dead")]
    assert glance.events[0].words.startswith("expired")


def test_what_leaves_by_other_ways_is_not_said_to_be_sent(
    make_client: Callable[..., SegOpsClient], make_view: Callable[..., ClientView]
) -> None:
    client = make_client()
    view = make_view(client)
    client.track(user_id="erased", event_type="paid")
    client.track(user_id="unseen", event_type="paid")
    view.look()
    client.forget("erased")
    assert dict(fates(view.look())) == {"erased": "gone", "unseen": "waiting"}
    view.end()
    assert client.flush().ok
    view.begin()
    assert dict(fates(view.look())) == {"erased": "gone", "unseen": "gone"}
    assert {each.words for each in view.look().events} == {
        "another process sent it, or it was removed",
        "it left while nobody looked",
    }


def test_of_many_events_the_newest_are_listed_and_the_others_counted(
    make_client: Callable[..., SegOpsClient], make_view: Callable[..., ClientView]
) -> None:
    client = make_client()
    view = make_view(client)
    client.track_many({"user_id": f"u-{n}", "event_type": "paid"} for n in range(1000))
    glance = view.look()
    assert [each.user for each in glance.events[:2]] == ["u-999", "u-998"]
    assert len(glance.events) == 200
    assert glance.unlisted == 800
    assert view.look().unlisted == 0


def test_a_payload_of_any_length_is_shown_with_few_letters(
    make_client: Callable[..., SegOpsClient], make_view: Callable[..., ClientView]
) -> None:
    client = make_client()
    view = make_view(client)
    client.track(user_id="u", event_type="paid", payload={"long": "x" * 200_000})
    (line,) = view.look().events
    assert (line.user, line.kind) == ("u", "paid")
    assert len(line.text) < 500


def test_while_nobody_looks_no_request_is_looked_at(
    make_client: Callable[..., SegOpsClient], make_view: Callable[..., ClientView]
) -> None:
    client = make_client()
    view = make_view(client)
    transports = client._delivery.current._transports
    assert all(each.viewer is not None for each in transports)
    view.end()
    assert all(each.viewer is None for each in transports)


def test_a_page_and_what_measures_see_the_same_requests(
    make_client: Callable[..., SegOpsClient], make_view: Callable[..., ClientView]
) -> None:
    measured = []

    class Measures:
        def begin(self, batch: Any) -> Callable[[object], object]:
            measured.append(len(batch.rows))
            return lambda _verdict: None

    client = make_client()
    client._look_on(Watch(Measures()), None)
    view = make_view(client)
    client.track(user_id="u", event_type="paid")
    assert client.flush().ok
    assert measured == [1]
    assert fates(view.look()) == [("u", "sent")]


def test_the_thread_that_notes_the_hour_ends_with_the_client(
    make_client: Callable[..., SegOpsClient], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("segops_durable.watching.history.SAMPLE_SECONDS", 0.01)
    client = make_client()
    view = ClientView(client)
    client.shutdown(0)
    view._thread.join(60)
    assert not view._thread.is_alive()


def test_the_hour_is_noted_while_nobody_looks(
    make_client: Callable[..., SegOpsClient],
    monkeypatch: pytest.MonkeyPatch,
    wait_until: Callable[..., None],
) -> None:
    monkeypatch.setattr("segops_durable.watching.history.SAMPLE_SECONDS", 0.01)
    client = make_client()
    client.track(user_id="u", event_type="paid")
    view = ClientView(client)
    wait_until(lambda: len(view._history.points()) > 3)
    assert view._history.points()[-1][1] == 1.0
    view.close()


def test_an_asynchronous_client_is_looked_at_once_it_is_started(sandbox: Sandbox) -> None:
    client = AsyncSegOpsClient(sandbox.url, "sk_test")
    with pytest.raises(ConfigurationError, match="before it is started"):
        ClientView(client)
