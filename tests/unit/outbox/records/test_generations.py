"""Which generation an id is of, and which generations are still needed."""

from __future__ import annotations

import pytest

from segops_durable.outbox.records.generations import (
    Generation,
    as_text,
    generation_of,
    generations_from,
    with_new,
)


def test_an_id_is_of_the_generation_that_began_before_it() -> None:
    known = [Generation(4, "a"), Generation(9, "b")]
    names = [generation_of(known, row_id) for row_id in (1, 3, 4, 8, 9, 100)]
    assert names == ["", "", "a", "a", "b", "b"]


def test_a_new_generation_has_a_name_of_its_own_and_takes_the_place_of_one_without_events() -> None:
    first = with_new([], last_id=3, oldest_id=1)
    second = with_new(first, last_id=3, oldest_id=1)
    assert [each.first_id for each in (*first, *second)] == [4, 4]
    assert first != second


def test_generations_of_which_nothing_waits_are_dropped() -> None:
    known = [Generation(4, "a"), Generation(9, "b"), Generation(20, "c")]
    assert with_new(known, last_id=30, oldest_id=10)[:-1] == known[1:]
    assert with_new(known, last_id=30, oldest_id=9)[:-1] == known[1:]
    assert with_new(known, last_id=30, oldest_id=8)[:-1] == known
    assert len(with_new(known, last_id=30, oldest_id=31)) == 1


def test_the_note_is_read_as_it_was_written() -> None:
    known = [Generation(4, "a"), Generation(9, "b")]
    assert generations_from(as_text(known)) == known


@pytest.mark.parametrize("junk", [None, "", "{", "7", "[7]", '[["a", "b"]]', "[[1, 2]]", "[[1]]"])
def test_a_note_of_no_use_is_none(junk: str | None) -> None:
    assert generations_from(junk) == []
