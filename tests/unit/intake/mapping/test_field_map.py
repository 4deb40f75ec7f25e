"""What a map of fields refuses before a row is read, and what tells two maps apart."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest

from segops_durable import ConfigurationError, FieldMap

SALES = FieldMap(columns={"user_id": "email"}, constants={"event_type": "sold"})


@pytest.mark.parametrize(
    ("field_map", "columns", "problem"),
    [
        (FieldMap(), ["event_type"], "no column for user_id"),
        (FieldMap(), ["user_id"], "no column for event_type"),
        (FieldMap(kind="identify"), ["plan"], "no column for user_id"),
        (SALES, ["mail", "amount"], "user_id=email: there is no column 'email'"),
        (SALES, ["Email"], "There are 'Email'"),
        (FieldMap(columns={"occurred_at": "at"}), ["user_id", "event_type"], "no column 'at'"),
        (SALES, ["email", "a", "a"], "more than one column 'a'"),
        (SALES, ["email", "payload.x", "x"], "are both the entry 'x'"),
        (
            FieldMap(columns={"user_id": "email", "traits": "more"}, kind="identify"),
            ["email", "more", "more.x", "x"],
            "are both the entry 'x'",
        ),
        (SALES, [], "There are none"),
    ],
)
def test_columns_that_cannot_be_right_are_refused(
    field_map: FieldMap, columns: list[str], problem: str
) -> None:
    with pytest.raises(ConfigurationError, match=problem):
        field_map.check_columns(columns)


@pytest.mark.parametrize(
    ("field_map", "columns"),
    [
        (FieldMap(), ["event_type", "user_id", "x"]),
        (SALES, ["email", "user_id", "event_type"]),
        (FieldMap(kind="identify"), ["user_id"]),
        (SALES, ["email", "payload.x", "y"]),
    ],
)
def test_columns_that_may_be_right_are_taken(field_map: FieldMap, columns: list[str]) -> None:
    field_map.check_columns(columns)


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        (
            {"columns": {"user_id": "a"}, "constants": {"user_id": "b"}},
            "user_id is both a column, 'a', and a constant, 'b'",
        ),
        ({"columns": {"user_id": "a", "event_type": "a"}}, "'a' is for two fields"),
    ],
)
def test_a_field_of_two_sources_or_a_source_of_two_fields_is_refused(
    options: dict[str, Any], problem: str
) -> None:
    with pytest.raises(ConfigurationError, match=problem):
        FieldMap(**options)


def test_a_fingerprint_is_the_same_in_every_process_and_of_another_map_another() -> None:
    code = (
        "from segops_durable import FieldMap;"
        "print(FieldMap(columns={'occurred_at': 'at', 'user_id': 'email'}).fingerprint())"
    )
    found = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True
    ).stdout.strip()
    assert FieldMap(columns={"user_id": "email", "occurred_at": "at"}).fingerprint() == found
    others = [
        FieldMap(),
        FieldMap(kind="identify"),
        FieldMap(text=True),
        FieldMap(constants={"event_type": "at"}),
        FieldMap(columns={"event_type": "at"}),
    ]
    assert len({found, *(each.fingerprint() for each in others)}) == 1 + len(others)
    assert FieldMap(columns={"user_id": "user_id"}).fingerprint() == FieldMap().fingerprint()
