"""Once `forget` has returned, no request begins that has the person in it."""

from __future__ import annotations

import subprocess
import sys
import threading
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import pytest
import requests

import segops_durable
from segops_durable import Event, SegOpsError
from segops_durable.api.exchange import Exchange
from segops_durable.api.header_auth import HeaderAuth
from segops_durable.api.verdicts import Meaning, Verdict
from support.kiosk import Kiosk, event
from support.peer import LONG_SECONDS, Peer, Request, answer
from support.sessions import SESSION, Sessions

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from segops_durable import SegOpsClient
    from support.rig import Rig

pytestmark = pytest.mark.one_python

DOWN = answer(500, {"detail": "Oh."})


class Watching(Peer):
    """Notes which requests come after a person was forgotten, and have the person in them."""

    def __init__(self, react: Callable[[Request], bytes | None]) -> None:
        super().__init__(self._watch)
        self.came = threading.Event()
        self.go_on = threading.Event()
        self.is_forgotten = False
        self.late: list[str] = []
        self.then = react

    def _watch(self, request: Request) -> bytes | None:
        if self.is_forgotten and b"annabel" in request.body:
            self.late.append(request.line)
        self.came.set()
        return self.then(request)

    def hold(self, said: Callable[[Request], bytes]) -> Callable[[Request], bytes]:
        """Have a request wait for its answer until `go_on` is set."""

        def react(request: Request) -> bytes:
            assert self.go_on.wait(LONG_SECONDS)
            return said(request)

        return react


def seen(number: int, user: str) -> Event:
    return Event(user, "page_viewed", payload={"n": number})


@pytest.fixture(params=["a session of its own", "a session that was handed in"])
def session(request: pytest.FixtureRequest) -> Iterator[dict[str, Any]]:
    with ExitStack() as stack:
        is_own = request.param == "a session of its own"
        yield {} if is_own else {"http_session": stack.enter_context(requests.Session())}


def test_no_retry_carries_a_person_who_was_forgotten_meanwhile(
    make_client: Callable[..., SegOpsClient], session: dict[str, Any]
) -> None:
    with Watching(lambda _request: DOWN) as segops:
        client = make_client(api_url=segops.url, **session)
        client.track_many([seen(0, "annabel"), seen(1, "bob")])
        flushing = threading.Thread(target=client.flush)
        flushing.start()
        assert segops.came.wait(LONG_SECONDS)
        assert client.forget("annabel") == 1
        segops.is_forgotten = True
        flushing.join(LONG_SECONDS)
        assert segops.late == []
        segops.then = segops.accept
        assert client.flush(timeout=20).ok
        assert set(segops.accepted) == {1}
        assert segops.requests[0].key != segops.requests[-1].key  # other bytes, another key
        client.shutdown(0)


FORGETTING = """
import sys
from segops_durable import SegOpsClient
client = SegOpsClient(sys.argv[1], "sk_test", queue_path=sys.argv[2], shutdown_timeout=0)
print(client.forget("annabel"))
client.shutdown(0)
"""


def test_no_retry_carries_a_person_whom_another_process_has_forgotten(
    make_client: Callable[..., SegOpsClient], queue_path: Path
) -> None:
    told: list[SegOpsError] = []
    with Watching(lambda _request: answer(500, {"detail": "annabel again"})) as segops:
        client = make_client(api_url=segops.url, on_error=told.append, max_retries=8)
        client.track_many([seen(0, "annabel"), seen(1, "bob")])
        flushing = threading.Thread(target=client.flush, args=(60,))
        flushing.start()
        assert segops.came.wait(LONG_SECONDS)
        done = subprocess.run(
            [sys.executable, "-c", FORGETTING, segops.url, str(queue_path)],
            check=True,
            capture_output=True,
            text=True,
        )
        assert done.stdout.strip() == "1"
        segops.is_forgotten = True
        segops.then = segops.accept
        flushing.join(LONG_SECONDS)
        assert client.flush(timeout=20).ok
        assert segops.late == []
        assert set(segops.accepted) == {1}
        client.shutdown(0)


def test_a_request_that_waits_for_its_turn_does_not_carry_whoever_was_forgotten_meanwhile(
    make_client: Callable[..., SegOpsClient],
    wait_until: Callable[[Callable[[], object]], None],
) -> None:
    with Watching(lambda request: segops.accept(request)) as segops:  # noqa: PLW0108 - there is none yet
        client = make_client(api_url=segops.url, max_requests_per_minute=30)
        client.track(user_id="bob", event_type="page_viewed", payload={"n": 0})
        assert client.flush(timeout=20).ok
        client.track_many([seen(1, "annabel"), seen(2, "bob")])
        flushing = threading.Thread(target=client.flush)
        flushing.start()
        wait_until(lambda: client.stats().state is segops_durable.State.RATE_LIMITED)
        assert client.forget("annabel") == 1
        segops.is_forgotten = True
        flushing.join(LONG_SECONDS)
        assert client.flush(timeout=20).ok
        assert segops.late == []
        assert set(segops.accepted) == {0, 2}
        client.shutdown(0)


def test_no_session_is_asked_for_that_names_whoever_was_forgotten(
    make_rig: Callable[..., Rig],
) -> None:
    kiosk = Kiosk()
    kiosk.user = "annabel"

    def forget_while_signing(user_id: str) -> Any:
        context = Kiosk.user_context_for(kiosk, user_id)
        assert rig.outbox.erasure.forget("annabel") == 1
        rig.delivery.forget("annabel")
        return context

    with Sessions(lambda: rig.clock.time()) as segops:  # noqa: PLW0108 - there is no rig yet
        rig = make_rig(
            segops.url,
            api_key="pk_test",
            get_user=kiosk.get_user,
            user_context_for=forget_while_signing,
        )
        rig.track(event("annabel"))
        kiosk.user = None
        rig.round()
        assert segops.requests == []
        rig.track(event(None))
        rig.round()
        assert [by for by, _ in segops.arrived] == [None]
        assert b"annabel" not in b"".join(
            each.body for each in segops.requests if SESSION in each.line
        )


def test_the_question_comes_when_the_connection_is_open_and_before_a_byte_leaves() -> None:
    asked: list[int] = []

    def is_wanted() -> bool:
        asked.append(segops.connections)
        return False

    with Peer(lambda _request: DOWN) as segops:
        exchange = Exchange(segops.url, timeout=5, user_agent="test")
        exchange.is_wanted = is_wanted
        said = exchange.post("/x", b"{}", HeaderAuth("ApiKey", "sk_test"))
        assert isinstance(said, Verdict)
        assert (said.meaning, said.is_unsent) == (Meaning.WITHDRAWN, True)
        exchange.is_wanted = lambda: True
        assert not isinstance(exchange.post("/x", b"{}", HeaderAuth("ApiKey", "k")), Verdict)
        exchange.close()
        assert len(segops.requests) == 1
    assert len(asked) == 1


@pytest.mark.parametrize(
    ("said", "left"),
    [
        (lambda request: answer(202, {"queued": len(request.numbers), "skipped": 0}), 0),
        (lambda request: answer(202, {"queued": 0, "skipped": len(request.numbers)}), 0),
        (lambda _request: answer(202, {"queued": 1, "skipped": 1}), 0),
        (
            lambda request: answer(
                503, {"detail": "Oh, annabel" if len(request.numbers) > 1 else "Oh"}
            ),
            1,
        ),
    ],
    ids=["accepted", "all skipped", "some skipped", "unavailable"],
)
def test_what_was_on_its_way_is_told_and_nothing_of_it_is_left(
    make_client: Callable[..., SegOpsClient],
    queue_path: Path,
    session: dict[str, Any],
    wait_until: Callable[[Callable[[], object]], None],
    said: Callable[[Request], bytes],
    left: int,
) -> None:
    told: list[SegOpsError] = []

    def answer_once_she_is_erased() -> None:
        wait_until(lambda: client.stats().pending == 1)
        segops.go_on.set()

    with Watching(said) as segops:
        segops.then = segops.hold(said)
        options = {"max_retries": 0, "on_error": told.append, **session}
        client = make_client(api_url=segops.url, **options)
        client.track_many([seen(0, "annabel"), seen(1, "bob")])
        flushing = threading.Thread(target=client.flush)
        flushing.start()
        assert segops.came.wait(LONG_SECONDS)
        released = threading.Thread(target=answer_once_she_is_erased)
        released.start()
        assert client.forget("annabel") == 1
        released.join(LONG_SECONDS)
        segops.is_forgotten = True
        flushing.join(LONG_SECONDS)
        error = next(e for e in told if isinstance(e, segops_durable.ErasedTooLateError))
        assert (error.batch_size, error.attempts, error.events) == (1, 1, ())
        assert not [each for each in told if "annabel" in repr(vars(each)) + str(each)]
        assert segops.late == []
        assert client.stats().pending == left
        assert b"annabel" not in b"".join(letter.data for letter in client.dead_letters())
        client.shutdown(0)
    assert on_disk(queue_path, "annabel") == []


@pytest.mark.parametrize("status", [400, 401, 404, 429, 500])
def test_neither_the_last_error_nor_the_note_names_whoever_was_forgotten(
    make_client: Callable[..., SegOpsClient], queue_path: Path, status: int
) -> None:
    with Peer(lambda _request: answer(status, {"detail": "annabel is not known"})) as segops:
        client = make_client(api_url=segops.url, max_retries=0)
        client.track_many([seen(0, "annabel")])
        client.flush(timeout=20)
        assert "annabel is not known" in str(client.stats().last_error)
        assert on_disk(queue_path, "annabel is not known")
        client.forget("annabel")
        assert client.stats().last_error is None
        assert on_disk(queue_path, "annabel is not known") == []
        client.shutdown(0)


def test_errors_that_wait_to_be_told_are_not_told_of_whoever_was_forgotten(
    make_rig: Callable[..., Rig],
) -> None:
    rig = make_rig("http://localhost:9")
    for name in ("annabel", "bob"):
        error = segops_durable.IdentityError("nobody signs", events=[{"user_id": name}])
        rig.delivery.report.postpone(error)
    rig.delivery.forget("annabel")
    rig.delivery.report.tell_postponed()
    assert [each.events for each in rig.told] == [({"user_id": "bob"},)]  # type: ignore[attr-defined]


def on_disk(queue_path: Path, needle: str) -> list[str]:
    """The files beside the queue that have these bytes; read by another process."""
    command = ["grep", "--files-with-matches", "--text", "--fixed-strings", needle]
    files = [each for each in queue_path.parent.iterdir() if each.is_file()]
    found = subprocess.run([*command, *files], check=False, capture_output=True, text=True)
    return found.stdout.split()
