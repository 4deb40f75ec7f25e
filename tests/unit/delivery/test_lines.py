"""Turns: those of a higher priority before the others, and nobody passed over for ever."""

from __future__ import annotations

from collections import Counter

from segops_durable.delivery.lines import TURNS_BEFORE_OTHERS, Lines


def test_those_of_a_higher_priority_have_their_turns_first_in_the_order_of_coming() -> None:
    lines = Lines()
    lines.extend(["low a", "b", "high a", "", "high ", "low "])
    assert "high a" in lines
    assert "high b" not in lines
    assert [*lines] == ["high a", "high ", "b", "", "low a", "low "]
    assert [lines.popleft() for _ in range(6)] == ["high a", "high ", "b", "", "low a", "low "]
    assert not lines


def test_of_all_turns_the_next_lower_have_a_tenth_and_the_lowest_a_hundredth() -> None:
    lines = Lines()
    lines.extend(["high a", "a", "low a"])
    turns: Counter[str] = Counter()
    in_a_row = longest = 0
    for _ in range(1000):
        lane = lines.popleft()
        turns[lane] += 1
        in_a_row = in_a_row + 1 if lane == "high a" else 0
        longest = max(longest, in_a_row)
        lines.append(lane)  # it always has more
    assert turns == {"high a": 900, "a": 90, "low a": 10}
    assert longest == TURNS_BEFORE_OTHERS


def test_who_is_alone_keeps_nobody_waiting_and_owes_no_turn() -> None:
    lines = Lines()
    for _ in range(50):
        lines.append("high a")
        assert lines.popleft() == "high a"
    lines.extend(["high a", "a"])
    assert lines.popleft() == "high a"
