"""Text of others is shown, never obeyed."""

from __future__ import annotations

import sys
import unicodedata

import pytest

from segops_durable import CredentialsError, InvalidEventError
from segops_durable.errors.plain_text import shown, visible


def test_nothing_that_a_terminal_obeys_or_that_begins_a_line_is_left() -> None:
    obeyed = [
        chr(number)
        for number in range(sys.maxunicode + 1)
        if unicodedata.category(chr(number)) in {"Cc", "Cs", "Zl", "Zp"}
        or unicodedata.bidirectional(chr(number)) in {"LRE", "RLE", "LRO", "RLO", "PDF"}
        or unicodedata.bidirectional(chr(number)) in {"LRI", "RLI", "FSI", "PDI"}
    ]
    text = visible("".join(obeyed))
    assert len(obeyed) > 2000
    assert text.isprintable()
    assert visible("a\x1b]0;x\x07\n\x9b2J\u202eb") == r"a\x1b]0;x\x07\n\x9b2J\u202eb"


@pytest.mark.parametrize(
    "text", ["plain", "Grüße, 你好", "\u0645\u06cc\u200c\u062e\u0648", "👩‍🚀", "a\u00a0b"]
)
def test_what_people_write_stays_as_it_is(text: str) -> None:
    assert visible(text) == text


def test_no_error_carries_a_line_of_its_own() -> None:
    error = CredentialsError("the key\x1b[2J\nFORGED", hint="see\r\nhere")
    assert str(error) == r"the key\x1b[2J\nFORGED. see\r\nhere"
    assert error.message == r"the key\x1b[2J\nFORGED"
    assert "\n" not in str(InvalidEventError("payload.a\nb", "is odd", "x\ny"))


def test_a_value_is_shown_short_however_long_or_broken_it_is() -> None:
    class Broken(list[int]):
        def __repr__(self) -> str:
            raise ZeroDivisionError

        def __iter__(self) -> None:  # type: ignore[override]  # it is broken
            raise ZeroDivisionError

        def __len__(self) -> int:
            raise ZeroDivisionError

    assert "Broken" in shown(Broken())
    assert shown({"a": 1}) == "{'a': 1}"
    for huge in ("x" * 10_000_000, list(range(1_000_000)), 10**4000, {"a": "x" * 1_000_000}):
        assert len(shown(huge)) <= 80
