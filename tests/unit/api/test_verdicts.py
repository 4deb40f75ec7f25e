from __future__ import annotations

import json
from typing import Any

import pytest
from requests.structures import CaseInsensitiveDict

from segops_durable import errors
from segops_durable.api.verdicts import Answer, Meaning, Verdict, judge_batch


def answer(status: int, document: Any, **headers: str) -> Answer:
    body = document if isinstance(document, bytes) else json.dumps(document).encode()
    fields = {"Content-Type": "application/json", **headers}
    return Answer(status, CaseInsensitiveDict(fields), body)


def test_only_the_apis_own_answer_that_counts_every_event_is_acceptance() -> None:
    verdict = judge_batch(answer(202, {"queued": 18, "skipped": 2}), 20)
    assert (verdict.meaning, verdict.skipped) == (Meaning.ACCEPTED, 2)


@pytest.mark.parametrize(
    "document",
    [
        {"queued": 19, "skipped": 0},
        {"queued": 21, "skipped": -1},
        {"queued": True, "skipped": 19},
        {"queued": "20", "skipped": 0},
        {"queued": 20.0, "skipped": 0},
        {"queued": 20},
        {"queued": True},
        [],
        b'{"queued": 20, "skipped": 0, "queued": 20}',
        b'{"queued": NaN, "skipped": 20}',
        b'{"queued": ' + b"9" * 20_000 + b', "skipped": 0}',
        b"{not json",
        b"\xff\xfe",
        b"[" * 100_000,
    ],
)
def test_a_success_that_is_not_the_apis_own_settles_nothing(document: Any) -> None:
    assert judge_batch(answer(202, document), 20).meaning is Meaning.NOT_SEGOPS


@pytest.mark.parametrize(
    "detail", ["\ud800", "\x00\x1b[2J", "x" * 100_000, [[[]]], {"a": {"b": "c"}}, 10**4000]
)
def test_what_a_server_says_can_be_written_down_with_the_event(detail: Any) -> None:
    said = judge_batch(answer(400, {"detail": detail}), 1).detail
    assert said.encode()
    assert len(said) <= 1000


@pytest.mark.parametrize(
    ("status", "document", "may_have_arrived"),
    [
        (400, {"detail": "No."}, False),
        (403, b"<html>", False),
        (413, b"<html>", False),
        (500, {"detail": "Oh."}, False),
        (503, b"<html>", False),
        (502, b"<html>", True),
        (504, {"detail": "No answer from behind."}, True),
        (524, b"<html>", True),
        (200, b"<html>", True),
        (202, {"queued": 7, "skipped": 0}, True),
        (302, b"", True),
    ],
)
def test_only_an_answer_that_is_about_the_events_says_that_they_were_not_accepted(
    status: int, document: Any, may_have_arrived: bool
) -> None:
    assert judge_batch(answer(status, document), 1).may_have_arrived is may_have_arrived


def test_a_captive_portal_is_not_segops() -> None:
    html = Answer(200, CaseInsensitiveDict({"Content-Type": "text/html"}), b"<html>")
    assert judge_batch(html, 1).meaning is Meaning.NOT_SEGOPS
    endless = Answer(202, CaseInsensitiveDict({"Content-Type": "application/json"}), None)
    assert judge_batch(endless, 1).meaning is Meaning.NOT_SEGOPS
    redirect = Answer(302, CaseInsensitiveDict({"Location": "/login"}), b"")
    verdict = judge_batch(redirect, 1)
    assert verdict.meaning is Meaning.NOT_SEGOPS
    assert "/login" in verdict.detail


@pytest.mark.parametrize(
    ("status", "meaning", "error"),
    [
        (400, Meaning.REFUSED, errors.RefusedError),
        (422, Meaning.REFUSED, errors.RefusedError),
        (401, Meaning.CREDENTIALS, errors.CredentialsError),
        (403, Meaning.CREDENTIALS, errors.CredentialsError),
        (404, Meaning.WRONG_ADDRESS, errors.WrongAddressError),
        (405, Meaning.WRONG_ADDRESS, errors.WrongAddressError),
        (408, Meaning.BUSY, errors.RateLimitedError),
        (413, Meaning.TOO_LARGE, errors.RefusedError),
        (425, Meaning.BUSY, errors.RateLimitedError),
        (429, Meaning.BUSY, errors.RateLimitedError),
        (418, Meaning.NOT_SEGOPS, errors.NotSegOpsError),
        (500, Meaning.UNREACHABLE, errors.UnreachableError),
        (503, Meaning.UNREACHABLE, errors.UnreachableError),
    ],
)
def test_each_status_has_its_meaning_and_its_error(
    status: int, meaning: Meaning, error: type[errors.DeliveryError]
) -> None:
    verdict = judge_batch(answer(status, {"detail": "no"}, **{"Retry-After": "7"}), 1)
    assert verdict.meaning is meaning
    told = verdict.as_error(batch_size=20, attempts=4)
    assert type(told) is error
    assert (told.status, told.batch_size, told.attempts) == (status, 20, 4)
    assert "no" in str(told)


@pytest.mark.parametrize("status", [400, 401, 403, 404])
def test_a_refusal_in_html_is_a_proxys_not_segops(status: int) -> None:
    html = Answer(status, CaseInsensitiveDict({"Content-Type": "text/html"}), b"<html>")
    assert judge_batch(html, 1).meaning is Meaning.NOT_SEGOPS


def test_no_answer_is_told_with_its_cause() -> None:
    error = Verdict(Meaning.UNREACHABLE, detail="ConnectionError").as_error(
        batch_size=1, attempts=4
    )
    assert error.status is None
    assert "ConnectionError" in str(error)
