"""Logging that tracks what it hears does not feed on what it causes."""

from __future__ import annotations

import logging
import random
from typing import TYPE_CHECKING

import pytest
import requests

from support.events import track
from support.peer import Peer, answer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from segops_durable import SegOpsClient
    from segops_durable.sandbox import Sandbox
    from support.rig import Rig


class Tracking(logging.Handler):
    """Tracks every line that it hears, and flushes a batch whenever there is one."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.client: SegOpsClient | None = None
        self.heard: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.heard.append(record.name)
        if self.client is not None:
            self.client.track(
                user_id="u", event_type="line_logged", payload={"text": record.getMessage()}
            )


@pytest.fixture
def tracking() -> Iterator[Tracking]:
    handler, root = Tracking(), logging.getLogger()
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    yield handler
    root.removeHandler(handler)
    root.setLevel(level)


@pytest.mark.parametrize("is_handed_in", [False, True])
def test_a_handler_that_tracks_every_line_at_debug_is_not_fed_by_the_sending(
    tracking: Tracking,
    make_client: Callable[..., SegOpsClient],
    sandbox: Sandbox,
    is_handed_in: bool,
) -> None:
    with requests.Session() as session:
        options = {"http_session": session} if is_handed_in else {}
        client = make_client(batch=False, flush_interval=0.05, **options)
        tracking.client = client
        track(client, 3)
        for _ in range(5):
            assert client.flush(timeout=60).ok
        tracking.client = None
    assert len(sandbox.events()) == 3
    assert "urllib3.connectionpool" not in tracking.heard


def test_an_outage_that_is_logged_and_tracked_makes_a_line_an_event_and_no_more(
    tracking: Tracking, make_client: Callable[..., SegOpsClient]
) -> None:
    client = make_client(
        api_url="http://127.0.0.1:9", on_error=None, batch=False, flush_interval=0.05, max_retries=0
    )
    tracking.client = client
    client.track(user_id="u", event_type="Not snake case")
    for _ in range(5):
        client.flush(timeout=60)
    tracking.client = None
    # the event, the warning of its name, and one line an hour on the outage
    assert client.stats().pending <= 3
    assert tracking.heard.count("segops_durable") <= 2


def test_lines_of_other_threads_and_after_the_request_are_heard_as_before(
    tracking: Tracking, make_client: Callable[..., SegOpsClient], sandbox: Sandbox
) -> None:
    client = make_client()
    track(client, 1)
    assert client.flush(timeout=60).ok
    assert requests.get(f"{sandbox.url}/_sandbox/summary", timeout=10).ok
    assert "urllib3.connectionpool" in tracking.heard


def test_nothing_is_drawn_from_the_programs_own_random_numbers(
    make_rig: Callable[..., Rig],
) -> None:
    random.seed(7)
    before = random.getstate()
    with Peer(lambda _request: answer(500, {"detail": "Oh."})) as down:
        rig = make_rig(down.url)
        rig.append(40)
        rig.delivery.sender.stagger()
        for _ in range(6):
            rig.next_round()
    assert len(down.requests) > 6
    assert random.getstate() == before
