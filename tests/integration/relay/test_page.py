"""The page of a relay that listens for others: from elsewhere it takes the relay's token, too."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import urljoin

import pytest

from support.relays import RunningRelay, event

if TYPE_CHECKING:
    from collections.abc import Callable

    from segops_durable.sandbox import Sandbox

pytestmark = pytest.mark.one_python

TOKEN = "a-token-of-twenty-letters"
PAGE_TOKEN = "another-of-twenty-letters"
HERE = f"/t/{TOKEN}/"
ELSEWHERE = {"Host": "device.local:8788"}
_LINK = re.compile(r'(?:src|href)="([^"#]+)"')


@pytest.fixture
def relay(
    make_relay: Callable[..., RunningRelay], sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> RunningRelay:
    sandbox.stop()
    relay = make_relay("--allow-remote", "--token", TOKEN, "--page-token", PAGE_TOKEN)
    monkeypatch.setattr("segops_durable.relay.access.is_near", lambda _scope: False)
    return relay


@pytest.mark.parametrize("path", ["/", "/page/stream", "/page/letters", "/page/page.js", "/health"])
def test_nothing_of_it_is_served_without_the_token(relay: RunningRelay, path: str) -> None:
    shown = {"Authorization": f"Bearer {PAGE_TOKEN}"}
    for where in (path, f"/t/{TOKEN[:-1]}{path}", f"/t/{PAGE_TOKEN}{path}"):
        assert relay.get(where, headers={**ELSEWHERE, **shown}).status_code == 401


def test_with_the_token_in_its_url_it_is_served_with_all_that_it_needs(relay: RunningRelay) -> None:
    page = relay.get(HERE, headers=ELSEWHERE)
    assert page.status_code == 200
    assert page.headers["Content-Type"].startswith("text/html")
    needed = {urljoin(HERE, each) for each in _LINK.findall(page.text)}
    assert len(needed) >= 2
    for each in needed:
        assert each.startswith(HERE)
        assert relay.get(each, headers=ELSEWHERE).status_code == 200


def test_without_its_last_slash_its_url_leads_to_it(relay: RunningRelay) -> None:
    answer = relay.get(HERE.rstrip("/"), headers=ELSEWHERE, allow_redirects=False)
    assert (answer.status_code, answer.headers["Location"]) == (307, HERE)
    refused = relay.get(f"/t/{TOKEN[:-1]}", headers=ELSEWHERE, allow_redirects=False)
    assert refused.status_code == 401


def test_events_and_letters_take_the_pages_own_token_besides(relay: RunningRelay) -> None:
    assert relay.track(event(1), headers={**ELSEWHERE, "X-Relay-Token": TOKEN}).status_code == 202

    def letters(token: str, path: str = HERE) -> int:
        headers = {**ELSEWHERE, "Authorization": f"Bearer {token}"}
        return relay.get(f"{path}page/letters?before=9", headers=headers).status_code

    assert letters(PAGE_TOKEN) == 200
    assert letters(TOKEN) == letters("sk_test") == 401


def test_its_own_page_may_change_something_and_that_of_another_site_may_not(
    relay: RunningRelay,
) -> None:
    headers = {**ELSEWHERE, "Authorization": f"Bearer {PAGE_TOKEN}"}
    retry = f"{HERE}page/letters/retry"
    for origin, status in (("http://device.local:8788", 200), ("http://evil.example", 403)):
        answer = relay.post(retry, {"ids": None}, key=None, headers={**headers, "Origin": origin})
        assert answer.status_code == status, answer.text
