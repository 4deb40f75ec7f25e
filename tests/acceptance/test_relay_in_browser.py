"""A page of the web that posts to a relay of the device, from a real browser, offline and back."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import pytest

from support.pages import browser
from support.relays import RunningRelay
from support.seen import Seen

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from segops_durable.sandbox import Sandbox

pytestmark = [pytest.mark.long, pytest.mark.one_python]

TOKEN = "a-token-of-the-page-of-a-relay"
SHOP = b"<!doctype html><meta charset=utf-8><title>A shop</title><h1>A shop</h1>"
POST = """
const [relay, numbers, done] = [arguments[0], arguments[1], arguments[arguments.length - 1]];
const event = number => ({user_id: "ann", event_type: "page_viewed", payload: {number}});
const post = (path, headers, body) => fetch(relay + path, {
  method: "POST", headers: {"Content-Type": "application/json", ...headers},
  body: JSON.stringify(body)});
(async () => {
  const asked = await post("/api/auth/session/", {Authorization: "ApiKey pk_test"},
    {anonymous_id: "ann"});
  const {token} = await asked.json();
  const Authorization = `Bearer ${token}`;
  const answer = await post("/api/ingestion/track/batch/", {Authorization},
    {events: numbers[0].map(event)});
  const beacon = navigator.sendBeacon(
    `${relay}/api/ingestion/track/batch/?token=${encodeURIComponent(token)}`,
    JSON.stringify({events: numbers[1].map(event)}));
  done([asked.status, answer.status, await answer.json(), beacon]);
})().catch(error => done(String(error)));
"""
CREDENTIALS = """
const [relay, done] = arguments;
const event = number => ({user_id: "ann", event_type: "page_viewed", payload: {number}});
const type = "application/json";
(async () => {
  const asked = await fetch(`${relay}/api/auth/session/`, {method: "POST",
    headers: {Authorization: "ApiKey pk_test"}, body: '{"anonymous_id": "ann"}'});
  const {token} = await asked.json();
  const answer = await fetch(`${relay}/api/ingestion/track/`, {
    method: "POST", credentials: "include", body: JSON.stringify(event(1)),
    headers: {"Content-Type": type, Authorization: `Bearer ${token}`}});
  const beacon = navigator.sendBeacon(
    `${relay}/api/ingestion/track/?token=${encodeURIComponent(token)}`,
    new Blob([JSON.stringify(event(2))], {type}));
  done([answer.status, beacon]);
})().catch(error => done(String(error)));
"""
BEACON = """
navigator.sendBeacon(arguments[0] + "/api/ingestion/track/", JSON.stringify(
  {user_id: "ann", event_type: "page_viewed"}));
"""


@contextmanager
def site() -> Iterator[str]:
    """A web site of its own; its origin."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(SHOP if self.path == "/" else b"")

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture(scope="module")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    found = browser(tmp_path_factory.mktemp("profile"))
    found.set_script_timeout(60)
    yield found
    found.quit()


@pytest.fixture
def seen(chromium: Any) -> Seen:
    chromium.get("about:blank")
    return Seen(chromium)


@pytest.fixture
def shop() -> Iterator[str]:
    with site() as origin:
        yield origin


@pytest.fixture
def relay(sandbox: Sandbox, shop: str, tmp_path: Path) -> Iterator[RunningRelay]:
    flags = ("--allow-origin", shop, "--page-token", TOKEN)
    options = {"timeout": 1.0}
    with RunningRelay(sandbox.url, tmp_path, flags, api_key="pk_test", options=options) as found:
        yield found


def numbers_of(sandbox: Sandbox) -> list[int]:
    return sorted(each["event"]["payload"]["number"] for each in sandbox.events())


def test_a_page_that_posts_with_fetch_and_beacons_offline_loses_nothing(
    seen: Seen,
    relay: RunningRelay,
    shop: str,
    sandbox: Sandbox,
    wait_until: Callable[..., None],
) -> None:
    seen.open(shop)
    ways = [[1, 2, 3], [4, 5]], [[6, 7], [8]], [[9], [10, 11]]
    expected = [200, 202, {"queued": 3, "skipped": 0}, True]
    assert seen.driver.execute_async_script(POST, relay.url, ways[0]) == expected
    wait_until(lambda: numbers_of(sandbox) == [1, 2, 3, 4, 5])
    sandbox.stop()
    expected = [200, 202, {"queued": 2, "skipped": 0}, True]
    assert seen.driver.execute_async_script(POST, relay.url, ways[1]) == expected
    wait_until(lambda: relay.waiting() == 3)
    seen.open("about:blank")  # the page is closed before it is online again
    sandbox.start()
    wait_until(lambda: numbers_of(sandbox) == list(range(1, 9)))
    assert {each["user_id"] for each in sandbox.events()} == {"ann"}
    seen.open(f"{relay.url}/#token={TOKEN}")
    seen.wait_for_text("[data-figure=accepted]", "8")
    seen.wait_for_text("#state-word", "idle")


def test_what_a_browser_sends_with_credentials_as_it_does_a_beacon_of_json_is_taken(
    seen: Seen, relay: RunningRelay, shop: str, sandbox: Sandbox, wait_until: Callable[..., None]
) -> None:
    seen.open(shop)
    assert seen.driver.execute_async_script(CREDENTIALS, relay.url) == [202, True]
    wait_until(lambda: numbers_of(sandbox) == [1, 2])


def test_what_a_page_posts_is_seen_at_the_relay_as_it_comes_and_leaves(
    seen: Seen, relay: RunningRelay, shop: str, sandbox: Sandbox
) -> None:
    seen.open(f"{relay.url}/#token={TOKEN}")
    seen.wait_for_text("#link-text", "live")
    watching = seen.driver.current_window_handle
    seen.driver.switch_to.new_window("window")
    try:
        seen.open(shop)
        seen.driver.execute_async_script(POST, relay.url, [[1], [2]])
    finally:
        seen.driver.close()
        seen.driver.switch_to.window(watching)
    seen.wait_for_text("#event-lines", '{"number": 1}', '{"number": 2}', "sent page_viewed ann")
    assert numbers_of(sandbox) == [1, 2]


def test_a_page_that_is_not_allowed_posts_nothing(
    seen: Seen, relay: RunningRelay, sandbox: Sandbox
) -> None:
    sandbox.stop()
    with site() as other:
        seen.open(other)
        said = seen.driver.execute_async_script(POST, relay.url, [[1], [2]])
        assert "Failed to fetch" in said
        seen.run(BEACON, relay.url)
        said = seen.driver.execute_async_script(POST, relay.url, [[1], [2]])
    assert relay.waiting() == 0
    sandbox.start()


def test_a_relay_ends_while_somebody_looks_at_it(seen: Seen, relay: RunningRelay) -> None:
    seen.open(f"{relay.url}/#token={TOKEN}")
    seen.wait_for_text("#link-text", "live")
    relay.stop()
    seen.wait_for_text("#link-text", "no connection")
    relay.start()
    seen.wait_for_text("#link-text", "live")


def test_without_the_token_a_relay_shows_no_events_and_changes_nothing(
    seen: Seen, relay: RunningRelay
) -> None:
    seen.open(relay.url)
    seen.run("sessionStorage.clear()")
    seen.open(relay.url)
    seen.wait_for_text("#link-text", "live")
    assert not seen.is_shown("#trusted")
    headers = {"Content-Type": "application/json"}
    for what in ("retry", "discard"):
        answer = relay.post(f"/page/letters/{what}", {"ids": [1]}, key=None, headers=headers)
        assert answer.status_code == 401
    answer = relay.post("/page/letters/retry", {"ids": None}, key="pk_test", headers=headers)
    assert answer.status_code == 401  # a key is no token of the page
