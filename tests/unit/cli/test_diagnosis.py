"""What `doctor` makes of an answer: the same as the client would of an answer to a batch."""

from __future__ import annotations

import json

import pytest

from segops_durable.api.verdicts import Answer
from segops_durable.cli.diagnosis.finding import Grade
from segops_durable.cli.diagnosis.server import finding_of

JSON = {"Content-Type": "application/json"}


def answer(status: int, detail: str = "It says so.") -> Answer:
    return Answer(status, JSON, json.dumps({"detail": detail}).encode())


@pytest.mark.parametrize(
    ("statuses", "check", "grade", "text"),
    [
        ([200, 202, 400, 413, 422], "server", Grade.OK, "it answers, and takes the key"),
        ([401, 403], "key", Grade.FAILED, "HTTP {} It says so."),
        ([404, 405, 410], "server", Grade.FAILED, "HTTP {} It says so."),
        (
            [408, 425, 429, 500, 502, 503, 504, 599],
            "server",
            Grade.NOTE,
            "it is there, and in trouble: HTTP {} It says so.",
        ),
        (
            [301, 302, 307, 409, 418],
            "server",
            Grade.FAILED,
            "something that is not SegOps answered, HTTP {} It says so.",
        ),
    ],
)
def test_each_status_is_judged_as_the_client_judges_it(
    statuses: list[int], check: str, grade: Grade, text: str
) -> None:
    for status in statuses:
        found = finding_of(answer(status))
        assert (found.check, found.grade, found.text) == (check, grade, text.format(status))
        assert bool(found.mend) == (grade is not Grade.OK)


def test_an_empty_document_has_no_words_to_show() -> None:
    assert finding_of(Answer(404, JSON, b"{}")).text == "HTTP 404"


def test_a_key_that_the_server_repeats_is_not_shown() -> None:
    found = finding_of(answer(401, "the key sk_live_4eC39HqLyjWDarjtT1zdp7dc is revoked"))
    assert found.text == "HTTP 401 the key sk_… is revoked"
