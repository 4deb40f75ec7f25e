"""What a page lets whom do, over HTTP, with the outbox of a real client."""

from __future__ import annotations

import re
from contextlib import closing
from importlib.resources import files
from typing import TYPE_CHECKING, Any

import pytest
import requests

from segops_durable.page import Page
from support.pages import TOKEN, page_of, read_stream

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from segops_durable import SegOpsClient
    from segops_durable.sandbox import Sandbox

RIGHT = {"Authorization": f"Bearer {TOKEN}"}
ASSETS = {
    each.name: each.read_text()
    for each in files("segops_durable.page").joinpath("assets").iterdir()
}
HTML = [name for name in ASSETS if name.endswith(".html")]


@pytest.fixture
def client(make_client: Callable[..., SegOpsClient], sandbox: Sandbox) -> SegOpsClient:
    """A client with three dead letters."""
    client = make_client()
    sandbox.faults(status=400, json={"detail": "Malformed user_id."})
    for number in range(3):
        client.track(user_id=f"secret-{number}", event_type="paid", payload={"n": number})
    assert client.flush().dead == 3
    sandbox.faults()
    return client


@pytest.fixture
def url(client: SegOpsClient) -> Iterator[str]:
    with page_of(client) as found:
        yield found


def first_frame(url: str, headers: dict[str, str]) -> dict[str, Any]:
    with closing(
        requests.get(f"{url}/page/stream", headers=headers, stream=True, timeout=60)
    ) as answer:
        assert answer.status_code == 200
        name, document = next(read_stream(answer.iter_lines()))
    assert name == "whole"
    return document


def post(url: str, what: str, ids: Any, headers: dict[str, str]) -> requests.Response:
    return requests.post(
        f"{url}/page/letters/{what}", json={"ids": ids}, headers=headers, timeout=60
    )


def numbers(client: SegOpsClient) -> list[int]:
    return [letter.id for letter in client.dead_letters()]


def test_with_the_token_letters_are_read_retried_and_discarded(
    client: SegOpsClient, url: str, sandbox: Sandbox
) -> None:
    assert [each["id"] for each in first_frame(url, RIGHT)["letters"]] == [3, 2, 1]
    older = requests.get(f"{url}/page/letters?before=3", headers=RIGHT, timeout=60).json()
    assert [(each["id"], each["user"], each["answer"]) for each in older] == [
        (2, "secret-1", "Malformed user_id."),
        (1, "secret-0", "Malformed user_id."),
    ]
    assert post(url, "discard", [2, 99], RIGHT).json() == {"count": 1}
    assert post(url, "retry", [3], RIGHT).json() == {"count": 1}
    assert post(url, "retry", None, RIGHT).json() == {"count": 1}
    assert numbers(client) == []
    assert client.flush().ok
    assert sorted(each["user_id"] for each in sandbox.events()) == ["secret-0", "secret-2"]


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_page_may_do_so_also_where_a_proxy_in_front_has_the_tls(
    client: SegOpsClient, url: str, scheme: str
) -> None:
    host = url.removeprefix("http://")
    own = {**RIGHT, "Origin": f"{scheme}://{host}", "Sec-Fetch-Site": "same-origin"}
    assert post(url, "discard", [1], own).json() == {"count": 1}
    assert numbers(client) == [2, 3]


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 401),
        ({"Authorization": "Bearer a token that somebody guesses"}, 401),
        ({"Authorization": f"Basic {TOKEN}"}, 401),
        ({"Authorization": TOKEN}, 401),
        ({"Cookie": f"token={TOKEN}"}, 401),
        ({"Authorization": "Bearer \xe9"}, 401),
        ({**RIGHT, "Origin": "https://evil.example"}, 403),
        ({**RIGHT, "Origin": "http://127.0.0.1:1"}, 403),  # another server of this machine
        ({**RIGHT, "Origin": "null"}, 403),
        ({**RIGHT, "Sec-Fetch-Site": "cross-site"}, 403),
        ({**RIGHT, "Sec-Fetch-Site": "same-site"}, 403),
        ({**RIGHT, "Host": "evil.example"}, 421),
        ({**RIGHT, "Content-Type": "text/plain"}, 415),  # what a form can send without leave
    ],
)
def test_without_the_token_or_from_elsewhere_nothing_is_changed(
    client: SegOpsClient, url: str, headers: dict[str, str], status: int
) -> None:
    for what in ("retry", "discard"):
        assert post(url, what, [1, 2, 3], headers).status_code == status
    assert numbers(client) == [1, 2, 3]


@pytest.mark.parametrize("path", ["/page/letters?before=9", "/page/stream"])
def test_with_a_wrong_token_nothing_is_read(url: str, path: str) -> None:
    headers = {"Authorization": "Bearer another token that was guessed"}
    answer = requests.get(url + path, headers=headers, timeout=60)
    assert answer.status_code == 401
    assert "secret" not in answer.text


def test_a_page_of_another_site_takes_nobodys_place(url: str) -> None:
    headers = {"Origin": "http://localhost:1"}
    assert requests.get(f"{url}/page/stream", headers=headers, timeout=60).status_code == 403


def test_without_the_token_the_stream_has_numbers_and_no_events(url: str) -> None:
    told = first_frame(url, {})
    assert told["figures"]["dead"] == 3
    assert "secret" not in str(told)
    assert "outbox.db" not in str(told)


@pytest.mark.one_python
@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 400),
        (b"nonsense", 400),
        (b"[" * 60_000, 400),
        (b"[]", 400),
        (b"{}", 400),
        (b'{"ids": []}', 400),
        (b'{"ids": "1"}', 400),
        (b'{"ids": [true]}', 400),
        (b'{"ids": [1.5]}', 400),
        (b'{"ids": [' + b"1," * 2000 + b"1]}", 400),
        (b'{"ids": [1]' + b" " * 70_000 + b"}", 413),
    ],
)
def test_what_is_no_choice_of_letters_is_refused(
    client: SegOpsClient, url: str, body: bytes, status: int
) -> None:
    headers = {**RIGHT, "Content-Type": "application/json"}
    for what in ("retry", "discard"):
        answer = requests.post(f"{url}/page/letters/{what}", body, headers=headers, timeout=60)
        assert answer.status_code == status
        assert answer.json()["detail"]
    assert numbers(client) == [1, 2, 3]


def test_all_letters_are_discarded_by_nobody_who_does_not_name_them(
    client: SegOpsClient, url: str
) -> None:
    assert post(url, "discard", None, RIGHT).status_code == 400
    assert numbers(client) == [1, 2, 3]


def test_letters_of_a_client_that_is_shut_down_are_out_of_reach(
    client: SegOpsClient, url: str
) -> None:
    client.shutdown(0)
    assert post(url, "retry", [1], RIGHT).status_code == 503


@pytest.mark.one_python
@pytest.mark.parametrize("path", ["/", "/page/page.js", "/page/letters?before=1", "/page/stream"])
def test_every_answer_forbids_what_no_page_of_ours_does(url: str, path: str) -> None:
    answer = requests.get(url + path, headers=RIGHT, stream=True, timeout=60)
    with closing(answer):
        policy = answer.headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "frame-ancestors 'none'" in policy
        assert "unsafe" not in policy
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Cache-Control"] == "no-store"
        assert not [name for name in answer.headers if name.startswith("Access-Control")]


def test_a_request_for_another_host_is_answered_nothing(url: str) -> None:
    for path in ("/", "/page/stream", "/page/page.js"):
        answer = requests.get(url + path, headers={"Host": "evil.example"}, timeout=60)
        assert answer.status_code == 421


@pytest.mark.one_python
@pytest.mark.parametrize("name", HTML)
def test_a_page_has_no_script_of_its_own_and_nothing_from_elsewhere(name: str) -> None:
    html = ASSETS[name]
    assert not re.search(r"<script(?![^>]*\bsrc=)", html)
    assert not re.search(r"\son\w+=|\sstyle=|<style|https?://", html)
    for each in re.findall(r'(?:src|href)="([^"#][^"]*)"', html):
        assert each.removeprefix("page/") in ASSETS


@pytest.mark.one_python
def test_no_script_makes_html_of_text() -> None:
    scripts = "\n".join(text for name, text in ASSETS.items() if name.endswith(".js"))
    for each in ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval("):
        assert each not in scripts


def test_the_files_of_a_page_have_their_types_and_no_other_file_is_served(url: str) -> None:
    for path, media in (("/", "text/html"), ("/page/page.js", "text/javascript")):
        answer = requests.get(url + path, timeout=60)
        assert answer.headers["Content-Type"] == f"{media}; charset=utf-8"
    for path in ("/page/outbox.html", "/page/../page.py", "/page/%2e%2e/page.py", "/page/"):
        assert requests.get(url + path, timeout=60).status_code == 404


@pytest.mark.one_python
def test_a_token_that_could_be_guessed_is_refused_and_not_repeated() -> None:
    view: Any = object()
    with pytest.raises(ValueError, match="16 letters or more, got 5 of them"):
        Page(view, kind="outbox", host=None, token="short")
    with pytest.raises(ValueError, match="letters that a header can have"):
        Page(view, kind="outbox", host=None, token="a token\nwith another line")
    with pytest.raises(ValueError, match="token must be given"):
        Page(view, kind="outbox", host=None, letters=view)


@pytest.mark.one_python
def test_the_address_of_a_page_has_its_token_where_no_server_gets_it() -> None:
    view: Any = None
    page = Page(view, kind="outbox", host=None, token="a/token#of&letters")
    assert page.address("http://h:1") == "http://h:1/#token=a%2Ftoken%23of%26letters"
    assert Page(view, kind="sandbox", host=None).address("http://h:1") == "http://h:1/"
