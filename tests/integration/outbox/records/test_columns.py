"""Rows that are read by the column are those that are read one by one."""

from __future__ import annotations

import pytest

from segops_durable.outbox.records.columns import Rows, damaged_among
from segops_durable.outbox.records.rows import Row, new_row
from segops_durable.system.clock import Moment

MOMENTS = [Moment(1_800_000_000.5), Moment(1_800_000_001.5, 7.25, 3), Moment(0.0, 0.0, 0)]


def rows(identity: str, count: int = 6) -> list[Row]:
    made = [new_row(b'{"n":%d}' % n, MOMENTS[n % len(MOMENTS)], identity) for n in range(count)]
    return [Row(number, *each) for number, each in enumerate(made, 1)]


def found(stored: list[Row]) -> list[tuple[object, ...]]:
    return [(*row[:4], *row[5:]) for row in stored]


@pytest.mark.parametrize("identity", ["", "user:ä"])
@pytest.mark.parametrize("moments", [MOMENTS, MOMENTS[:1], MOMENTS[1:]])
def test_rows_by_the_column_are_the_rows(
    monkeypatch: pytest.MonkeyPatch, identity: str, moments: list[Moment]
) -> None:
    monkeypatch.setitem(globals(), "MOMENTS", moments)
    stored = rows(identity)
    read = Rows.read(found(stored), identity)
    assert list(read) == stored == list(Rows.of(stored)) == list(Rows.of(read))
    assert (read[0], read[-1], list(read[2:4])) == (stored[0], stored[-1], stored[2:4])
    assert read.are_intact
    assert damaged_among(read) == damaged_among(stored) == []


def test_no_rows_are_no_rows() -> None:
    for none in (Rows.read([], ""), Rows.of([])):
        assert (len(none), list(none), none.are_intact) == (0, [], True)


@pytest.mark.parametrize(
    ("column", "value"),
    [
        (0, 99),  # a number names a row, and is in no checksum
        (1, b"{}"),
        (1, '{"n":3}'),
        (1, None),
        (2, 5.0),
        (2, 5),
        (2, "then"),
        (3, 7),
        (3, None),
        (3, 1e300),
        (5, 1.0),
        (5, "x"),
        (5, None),
        (6, 1 << 62),
        (6, 1.5),
        (6, None),
    ],
)
def test_a_value_that_is_not_what_was_stored_is_noticed_in_that_row_alone(
    column: int, value: object
) -> None:
    stored = rows("user:a")
    values: list[object] = list(stored[1])
    values[column] = value
    as_found = found(stored)
    as_found[1] = (*values[:4], *values[5:])
    read = Rows.read(as_found, "user:a")
    damaged = damaged_among(read)
    assert [row.data for row in read if row not in damaged] == [
        row.data for row in stored if not column or row.id != 2
    ]
    assert damaged == [each for each in [Row.of(values)] if column]


def test_rows_of_somebody_else_are_not_intact() -> None:
    assert len(damaged_among(Rows.read(found(rows("user:a")), "user:b"))) == 6
