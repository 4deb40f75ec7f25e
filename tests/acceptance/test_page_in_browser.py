"""The pages in a real browser: what is shown, what can be done, and by whom."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from support.pages import TOKEN, browser, page_of
from support.seen import BEYOND, CONTRAST, FOCUSABLE, Seen

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from segops_durable import SegOpsClient
    from segops_durable.sandbox import Sandbox

pytestmark = [pytest.mark.long, pytest.mark.one_python]

HOSTILE = (
    "<script>window.ran = 1</script>",
    "<img src=x onerror='window.ran = 2'>",
    "</script><svg onload='window.ran = 3'>",
    "javascript:window.ran=4",
    "\u202egnp.exe",
)


@pytest.fixture(scope="module")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    found = browser(tmp_path_factory.mktemp("profile"))
    yield found
    found.quit()


@pytest.fixture
def seen(chromium: Any, url: str) -> Iterator[Seen]:  # the servers are there until it has ended
    """The browser, at no page and with nothing kept; what it complained of fails the test."""
    assert url
    chromium.get("about:blank")
    chromium.get_log("browser")
    found = Seen(chromium)
    yield found
    assert [each["message"] for each in chromium.get_log("browser")] == []
    chromium.get("about:blank")


@pytest.fixture
def client(make_client: Callable[..., SegOpsClient]) -> SegOpsClient:
    return make_client(max_retries=0)


@pytest.fixture
def url(client: SegOpsClient) -> Iterator[str]:
    with page_of(client) as found:
        yield found


def refuse(client: SegOpsClient, sandbox: Sandbox, *users: str) -> None:
    """Have events become dead letters."""
    sandbox.faults(status=400, json={"detail": "Malformed <b>user_id</b>."})
    for user in users:
        client.track(user_id=user, event_type="paid", payload={"of": user})
    client.flush()
    assert client.stats().dead == len(users)
    sandbox.faults()


def test_what_is_tracked_appears_and_then_what_became_of_it(
    seen: Seen, client: SegOpsClient, url: str, sandbox: Sandbox
) -> None:
    seen.open(f"{url}/#token={TOKEN}")
    client.track(user_id="u-1", event_type="order_placed", payload={"total": 42})
    seen.wait_for_text("#event-lines li", "waiting order_placed u-1", '{"total": 42}')
    seen.wait_for_text("[data-figure=waiting]", "1")
    sandbox.faults(status=503)
    client.flush()
    seen.wait_for_text("#state-word", "backing off")
    seen.wait_for_text("#sentence", "SegOps cannot be reached")
    seen.wait_for_text("#next", "next attempt")
    seen.wait_for_text("#event-lines li", "waiting", "503 A fault of the sandbox.")
    sandbox.faults()
    assert client.flush().ok
    seen.wait_for_text("#event-lines li", "sent order_placed u-1")
    seen.wait_for_text("[data-figure=accepted]", "1")
    seen.wait_for_text("#state-word", "idle")
    assert seen.count("#charts path.line") == 3


def test_text_of_events_is_shown_and_never_run(
    seen: Seen, client: SegOpsClient, url: str, sandbox: Sandbox
) -> None:
    seen.open(f"{url}/#token={TOKEN}")
    refuse(client, sandbox, HOSTILE[0].replace(" ", ""))
    for each in HOSTILE:
        client.track(user_id=each, event_type=each, payload={each: each})
    seen.wait_for_text("#event-lines li", HOSTILE[1])
    seen.wait_for_text("#letter-lines .said", "Malformed <b>user_id</b>.")
    assert client.flush().pending == 0
    seen.wait_for_text("#event-lines li", "sandbox", absent=True)
    assert seen.count("#event-lines img, #event-lines script, #event-lines svg, main b b") == 0
    assert "\u202e" not in seen.text("body")
    seen.open(sandbox.url)
    seen.wait_for_text("#request-lines li", "taken")
    assert seen.count("#event-lines img, #event-lines script, #event-lines svg") == 0
    assert seen.run("return window.ran === undefined")


def test_a_script_that_got_into_the_page_all_the_same_would_not_run(seen: Seen, url: str) -> None:
    seen.open(url)
    seen.run(
        """
        const made = document.createElement("script");
        try { made.textContent = "window.ran = 1"; } catch {}
        document.body.append(made);
        """
    )
    with pytest.raises(seen.error, match="TrustedHTML"):
        seen.run("document.body.innerHTML = '<img src=x onerror=\"window.ran=1\">'")
    assert seen.run("return window.ran === undefined")
    seen.forget_messages()  # the browser says that it has kept them from it


def test_dead_letters_are_retried_and_discarded(
    seen: Seen, client: SegOpsClient, url: str, sandbox: Sandbox
) -> None:
    refuse(client, sandbox, "keep", "again", "away")
    seen.open(f"{url}/#token={TOKEN}")
    seen.wait_for_text("#letter-lines li", "paid away")
    seen.click("[aria-label^='Retry paid of again']")
    seen.wait_for_text("#done", "Put back into the queue")
    seen.click("[aria-label^='Discard paid of away']")
    seen.wait_for_text("dialog[open]", "paid of away is removed for good")
    seen.click("dialog [value=no]")
    assert len(list(client.dead_letters())) == 2
    seen.click("[aria-label^='Discard paid of away']")
    seen.click("dialog [value=yes]")
    seen.wait_for_text("#done", "Removed for good")
    assert client.flush().ok
    assert [letter.event["user_id"] for letter in client.dead_letters() if letter.event] == ["keep"]
    assert [each["user_id"] for each in sandbox.events()] == ["again"]
    seen.click("#retry-all")
    seen.wait_for_text("#done", "1 event put back")
    seen.wait_for_text("#no-letters", "There are none")


def test_of_many_dead_letters_the_older_ones_are_shown_when_asked_for(
    seen: Seen, client: SegOpsClient, url: str, sandbox: Sandbox
) -> None:
    refuse(client, sandbox, *(f"u-{number}" for number in range(40)))
    seen.open(f"{url}/#token={TOKEN}")
    seen.wait_for_text("#letter-lines li", "paid u-39")
    assert seen.count("#letter-lines li") == 25
    seen.click("#older")
    seen.wait_for_text("#letter-lines li:last-child", "paid u-0")
    assert seen.count("#letter-lines li") == 40
    assert not seen.is_shown("#older")


def test_without_the_token_there_are_numbers_and_no_events(
    seen: Seen, client: SegOpsClient, url: str, sandbox: Sandbox
) -> None:
    refuse(client, sandbox, "secret-user")
    seen.open(url)
    seen.run("sessionStorage.clear()")
    seen.open(url)
    seen.wait_for_text("[data-figure=dead]", "1")
    assert not seen.is_shown("#trusted")
    assert "secret-user" not in seen.run("return document.documentElement.innerHTML")
    seen.type("#token", "n\u00f6 t\u00f6ken at all\n")
    seen.wait_for_text("#token-problem", "That is no token.")
    seen.type("#token", "a token that is not it\n")
    seen.wait_for_text("#token-problem", "not accepted")
    seen.forget_messages()  # the browser says that it was told 401
    seen.type("#token", f"{TOKEN}\n")
    seen.wait_for_text("#letter-lines li", "secret-user")


def test_the_token_does_not_stay_in_the_address_and_lasts_for_a_reload(
    seen: Seen, client: SegOpsClient, url: str
) -> None:
    seen.open(f"{url}/#token={TOKEN}")
    client.track(user_id="u-1", event_type="paid")
    seen.wait_for_text("#event-lines li", "u-1")
    assert seen.run("return location.href") == f"{url}/"
    seen.open(url)
    seen.wait_for_text("#event-lines li", "u-1")


def test_faults_are_switched_and_what_is_wrong_with_them_is_said(
    seen: Seen, sandbox: Sandbox
) -> None:
    seen.open(sandbox.url)
    seen.click("#presets button:nth-child(2)")
    seen.wait_for_text("#sentence", "Every request: answered 503.")
    assert sandbox._app.faults.current.status == 503
    assert seen.attribute("#presets button:nth-child(2)", "aria-pressed") == "true"
    seen.click("details summary")
    seen.type("#f-rate", "0.25")
    seen.type("#f-json", '{"detail": "mine"}')
    seen.click("#fault-form [type=submit]")
    seen.wait_for_text("#sentence", "25% of requests")
    assert sandbox._app.faults.current.json == {"detail": "mine"}
    seen.type("#f-rate", "7")
    seen.click("#fault-form [type=submit]")
    seen.wait_for_text("#done", "rate: must be a number from 0 to 1")
    assert seen.attribute("#f-rate", "aria-invalid") == "true"
    assert sandbox._app.faults.current.rate == 0.25
    seen.forget_messages()  # the browser says that it was told 400
    seen.click("#clear")
    seen.wait_for_text("#sentence", "as SegOps would answer")
    sandbox.faults(portal=True)  # by another hand
    seen.wait_for_text("#sentence", "captive portal")
    assert seen.run("return document.querySelector('#f-portal').checked")


def test_what_the_sandbox_received_is_forgotten_when_that_is_said_twice(
    seen: Seen, client: SegOpsClient, sandbox: Sandbox
) -> None:
    client.track(user_id="u-1", event_type="paid")
    assert client.flush().ok
    seen.open(sandbox.url)
    seen.wait_for_text("#event-lines li", "received paid u-1")
    seen.click("#forget")
    seen.click("dialog [value=yes]")
    seen.wait_for_text("#no-events", "None has been received yet")
    assert sandbox.events() == []


@pytest.mark.parametrize("which", ["outbox", "sandbox"])
def test_the_keyboard_reaches_everything_in_order(
    which: str, seen: Seen, client: SegOpsClient, url: str, sandbox: Sandbox
) -> None:
    refuse(client, sandbox, "u-1", "u-2")
    seen.open(f"{url}/#token={TOKEN}" if which == "outbox" else sandbox.url)
    seen.wait_for_text("#link-text", "live")
    if which == "outbox":
        seen.wait_for_text("#letter-lines li", "u-2")
    else:
        seen.run("document.querySelector('details').open = true")
    wanted = seen.run(FOCUSABLE)
    assert len(wanted) > 8
    assert seen.tabbed_through(len(wanted)) == wanted
    assert seen.run(
        "return [...document.querySelectorAll('input, select')].every(e => e.labels.length)"
    )


def test_what_is_held_stays_and_goes_on_by_the_keyboard(
    seen: Seen, client: SegOpsClient, url: str
) -> None:
    client.track(user_id="u-1", event_type="paid")
    seen.open(f"{url}/#token={TOKEN}")
    seen.wait_for_text("#event-lines li", "u-1")
    seen.press("#hold", "\ue007")
    client.track(user_id="u-2", event_type="paid")
    seen.wait_for_text("[data-figure=waiting]", "2")
    assert seen.count("#event-lines li") == 1
    seen.press("#hold", " ")
    seen.wait_for_text("#event-lines li", "u-2")


def test_the_points_of_a_chart_are_read_by_the_arrow_keys(seen: Seen, url: str) -> None:
    seen.open(url)
    seen.wait_for_text("#link-text", "live")
    seen.press("#charts figure", "\ue012")
    seen.wait_for_text("#charts .readout", "waiting 0")


def test_many_events_a_second_are_shown_in_a_list_that_does_not_grow(
    seen: Seen, client: SegOpsClient, url: str, sandbox: Sandbox
) -> None:
    sandbox.faults(status=503)
    seen.open(f"{url}/#token={TOKEN}")
    for start in range(0, 20_000, 2000):
        client.track_many(
            {"user_id": f"u-{start + n}", "event_type": "paid", "payload": {"text": "x" * 2000}}
            for n in range(2000)
        )
    seen.wait_for_text("#event-lines li:first-child", "u-19999")
    seen.wait_for_text("[data-figure=waiting]", "20,000")
    assert seen.count("#event-lines li") == 100
    assert seen.run("return document.documentElement.outerHTML.length") < 200_000


def test_a_server_that_goes_away_is_said_to_be_and_comes_back_by_itself(
    seen: Seen, sandbox: Sandbox
) -> None:
    seen.open(sandbox.url)
    seen.wait_for_text("#link-text", "live")
    sandbox.stop()
    seen.wait_for_text("#link-text", "no connection; what is shown is of")
    assert seen.attribute("body", "data-link") == "lost"
    sandbox.start()
    seen.wait_for_text("#link-text", "live")
    seen.forget_messages()  # the browser says that it was not answered


def test_a_page_that_nobody_sees_asks_for_nothing(
    seen: Seen, sandbox: Sandbox, wait_until: Callable[..., None]
) -> None:
    seen.open(sandbox.url)
    seen.wait_for_text("#link-text", "live")
    before = seen.driver.current_window_handle
    seen.driver.switch_to.new_window("tab")  # the other one is hidden now
    wait_until(lambda: not sandbox._connections)
    seen.driver.close()
    seen.driver.switch_to.window(before)
    seen.wait_for_text("#link-text", "live")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_all_can_be_read_in_the_light_in_the_dark_and_on_a_phone(
    width: int, scheme: str, seen: Seen, client: SegOpsClient, url: str, sandbox: Sandbox
) -> None:
    refuse(client, sandbox, "x" * 200)
    sandbox.faults(status=503, rate=0.5)
    client.track(user_id="y" * 200, event_type="z" * 100, payload={"long": "w" * 3000})
    seen.be(width, scheme)
    try:
        for place in (f"{url}/#token={TOKEN}", sandbox.url):
            seen.open(place)
            seen.wait_for_text("#link-text", "live")
            seen.run("document.querySelectorAll('details').forEach(each => each.open = true)")
            assert seen.run(BEYOND) == 0
            assert json.loads(seen.run(CONTRAST)) == []
    finally:
        seen.be(1280, "light")


def test_a_page_asks_nobody_but_its_own_server(seen: Seen, sandbox: Sandbox) -> None:
    seen.open(sandbox.url)
    seen.wait_for_text("#link-text", "live")
    names = seen.run("return performance.getEntriesByType('resource').map(each => each.name)")
    assert names
    assert all(each.startswith(sandbox.url) for each in names)
