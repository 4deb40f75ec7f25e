from __future__ import annotations

import json
from typing import Any

import pytest

from segops_durable.page import cut, shown_event

pytestmark = pytest.mark.one_python


def data_of(**event: Any) -> bytes:
    return json.dumps(event, separators=(",", ":")).encode()


def test_an_event_is_shown_by_its_user_its_type_and_its_payload() -> None:
    shown = shown_event(data_of(user_id="u-1", event_type="paid", payload={"total": 42}))
    assert shown == ("u-1", "paid", '{"total": 42}')


def test_an_event_without_a_payload_has_no_text() -> None:
    assert shown_event(data_of(user_id="u-1", event_type="paid", payload={})).text == ""


def test_a_long_payload_is_cut() -> None:
    shown = shown_event(data_of(user_id="u", event_type="e", payload={"a": "x" * 5000}))
    assert len(shown.text) == 400
    assert shown.text.endswith("…")


def test_of_an_event_that_was_read_in_part_the_user_and_the_type_are_known() -> None:
    whole = data_of(user_id='a"b', event_type="paid", payload={"a": "x" * 9000})
    shown = shown_event(whole[:100], len(whole))
    assert (shown.user, shown.kind) == ('a"b', "paid")
    assert f"{len(whole):,} bytes" in shown.text


@pytest.mark.parametrize("data", [b"", b"\xff\xfe", b"[]", b"nonsense", b"[" * 3000])
def test_what_is_no_event_is_shown_all_the_same(data: bytes) -> None:
    shown = shown_event(data)
    assert (shown.user, shown.kind) == ("", "")
    assert len(shown.text) < 500


def test_text_cannot_turn_the_order_of_letters_round_nor_begin_a_line() -> None:
    shown = shown_event(data_of(user_id="a\u202eb\nc", event_type="e", payload={"k": "\u2066x"}))
    assert "\u202e" not in shown.user
    assert "\n" not in shown.user
    assert "\u2066" not in shown.text


def test_a_text_that_grows_as_it_is_made_visible_is_no_longer_than_asked_for() -> None:
    assert len(cut("\u202e" * 50, 30)) == 30
    assert cut("short", 30) == "short"
