"""The page of the sandbox: what it received, whatever was wrong with it."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest
import requests

from segops_durable.sandbox import Faults, Sandbox
from segops_durable.sandbox.view import sentence_of
from support.pages import read_stream

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from segops_durable import SegOpsClient


@pytest.fixture
def look(sandbox: Sandbox) -> Iterator[Callable[[], tuple[str, dict[str, Any]]]]:
    """Says what the next event of the stream is."""
    with closing(requests.get(f"{sandbox.url}/page/stream", stream=True, timeout=60)) as answer:
        told = read_stream(answer.iter_lines())
        yield lambda: next(told)


def until(look: Callable[..., Any], is_so: Callable[[str, dict[str, Any]], bool]) -> dict[str, Any]:
    while True:
        name, document = look()
        if is_so(name, document):
            found: dict[str, Any] = document
            return found


def test_what_is_received_is_shown_with_the_requests_that_brought_it(
    look: Callable[..., Any], make_client: Callable[..., SegOpsClient]
) -> None:
    assert look()[0] == "whole"
    client = make_client()
    client.track(user_id="u-1", event_type="paid", payload={"n": 1})
    assert client.flush().ok
    told = until(look, lambda _name, document: bool(document["events"]))
    (line,) = told["events"]
    assert (line["user"], line["kind"], line["text"]) == ("u-1", "paid", '{"n": 1}')
    assert [each["kind"] for each in told["requests"]] == ["202"]
    assert told["figures"]["events"] == 1


def test_a_fault_is_told_of_and_what_it_refused_is_counted(
    look: Callable[..., Any], sandbox: Sandbox, make_client: Callable[..., SegOpsClient]
) -> None:
    sandbox.faults(status=503)
    client = make_client(max_retries=0)
    client.track(user_id="u-1", event_type="paid")
    client.flush()
    told = until(look, lambda _name, document: document["figures"]["refused"] > 0)
    assert (told["state"], told["figures"]["events"]) == ("faulty", 0)
    assert told["sentence"] == "Every request: answered 503."


def test_when_all_is_forgotten_the_page_begins_anew(
    look: Callable[..., Any], sandbox: Sandbox, make_client: Callable[..., SegOpsClient]
) -> None:
    client = make_client()
    client.track(user_id="u-1", event_type="paid")
    assert client.flush().ok
    until(look, lambda _name, document: bool(document["events"]))
    requests.post(f"{sandbox.url}/_sandbox/reset", timeout=60)
    told = until(look, lambda name, _document: name == "whole")
    assert (told["events"], told["requests"]) == ([], [])
    assert told["figures"]["events"] == 0


def test_what_was_received_before_a_restart_is_in_the_chart_and_in_the_lists(
    tmp_path: Path, make_client: Callable[..., SegOpsClient]
) -> None:
    store = tmp_path / "accepted.db"
    with Sandbox(store=store) as first:
        client = make_client(api_url=first.url)
        client.track(user_id="u-1", event_type="paid")
        assert client.flush().ok
    with (
        Sandbox(store=store) as second,
        closing(requests.get(f"{second.url}/page/stream", stream=True, timeout=60)) as answer,
    ):
        _, told = next(read_stream(answer.iter_lines()))
    assert [each["user"] for each in told["events"]] == ["u-1"]
    assert sum(events for _, events, _ in [*told["points"], told["live"]]) > 0


def test_somebody_who_looks_keeps_no_sandbox_from_stopping(sandbox: Sandbox) -> None:
    with closing(requests.get(f"{sandbox.url}/page/stream", stream=True, timeout=60)) as answer:
        told = read_stream(answer.iter_lines())
        next(told)
        sandbox.stop()
        assert all(name == "change" for name, _ in told)  # and it ends, without an error
    sandbox.start()
    assert requests.get(sandbox.url, timeout=60).status_code == 200


@pytest.mark.one_python
@pytest.mark.parametrize(
    ("faults", "sentence"),
    [
        ({}, "Every request is answered as SegOps would answer it."),
        ({"status": 429, "retry_after": 5}, "Every request: answered 429, Retry-After 5 s."),
        (
            {"status": 429, "retry_after": "Mon, 30 Nov 2026 12:00:00 GMT"},
            "Every request: answered 429, Retry-After Mon, 30 Nov 2026 12:00:00 GMT.",
        ),
        ({"delay": 2, "rate": 0.5}, "50% of requests: answered 2 s late."),
        (
            {"reset": "after", "times": 3},
            "Every request, 3 in all: the connection is reset after the events are accepted.",
        ),
        ({"portal": True}, "Every request: a captive portal answers."),
        ({"redirect": "/x"}, "Every request: redirected to /x."),
        (
            {"body_limit": 1000},
            "Every request: bodies of more than 1,000 bytes are refused (413).",
        ),
        ({"seed": 1}, "Every request: nothing is done."),
    ],
)
def test_what_goes_wrong_is_said_in_a_sentence(faults: dict[str, Any], sentence: str) -> None:
    assert sentence_of(Faults(**faults)) == sentence
