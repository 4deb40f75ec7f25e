from __future__ import annotations

import json

import pytest

from segops_durable.outbox.records.order import Order, order_as_text, order_of
from segops_durable.system.clock import Moment

NOW = 1_800_000_000.0
ASKED = Order(600.0, Moment(NOW, 5000.0, 1))
FAR = 1e8


@pytest.mark.parametrize(
    ("now", "left"),
    [
        (Moment(NOW, 5000.0, 1), 600),
        (Moment(NOW + FAR, 5100.0, 1), 500),  # the clock was set
        (Moment(NOW - FAR, 5100.0, 1), 500),
        (Moment(NOW, 5600.0, 1), 0),
        (Moment(NOW, 9000.0, 1), 0),
        (Moment(NOW + 100, 10.0, 2), 500),  # another boot
        (Moment(NOW + 100, 5600.0, 2), 500),
        (Moment(NOW + FAR, 10.0, 2), 0),
        (Moment(1000.0, 10.0, 2), 600),  # a clock that is not set
    ],
)
def test_what_is_left_goes_by_the_uptime_and_after_a_reboot_by_the_time_of_day(
    now: Moment, left: float
) -> None:
    note = order_of(order_as_text(ASKED))
    assert note == ASKED
    assert note.left(now) == (left, None)


@pytest.mark.parametrize(
    ("now", "seconds", "later"),
    [
        (Moment(NOW, 5000.0, 1), 600, 30),
        (Moment(NOW + FAR, 5590.0, 1), 10, 30),
        (Moment(NOW, 5610.0, 1), 0, 20),  # what was drawn is left
        (Moment(NOW, 5630.0, 1), 0, 0),
        (Moment(NOW + 610, 10.0, 2), 0, 20),
        (Moment(NOW + FAR, 10.0, 2), 0, 0),
        (Moment(1000.0, 10.0, 2), 600, 30),
    ],
)
def test_what_was_drawn_beyond_an_order_is_waited_after_it(
    now: Moment, seconds: float, later: float
) -> None:
    asked = ASKED._replace(later=30.0)
    note = order_of(order_as_text(asked))
    assert note == asked
    assert note.left(now) == (seconds, later)


@pytest.mark.parametrize("later", ["1", [], -1.5, float("nan"), 1e300])
def test_a_note_with_what_cannot_have_been_drawn_orders_nothing(later: object) -> None:
    note = json.loads(order_as_text(ASKED))
    assert order_of(json.dumps({**note, "later": later})) is None


def test_whole_seconds_of_an_option_are_as_good() -> None:
    """`max_retry_after=60` is the shorter of two, and an int."""
    order = order_of(order_as_text(ASKED._replace(seconds=60)))
    assert order == ASKED._replace(seconds=60.0)


def test_a_note_of_an_older_version_ends_by_the_time_of_day() -> None:
    order = order_of(repr(NOW + 600.0))
    assert order is not None
    assert order.left(Moment(NOW + 100, 5000.0, 1)) == (500, None)
    assert order.left(Moment(NOW + 700, 5000.0, 1)) == (0, None)


@pytest.mark.parametrize("name", ["seconds", "wall", "uptime", "boot"])
@pytest.mark.parametrize("value", [None, "1", [], -1.5, float("nan"), float("inf"), 1e300])
def test_a_note_that_cannot_be_meant_orders_nothing(name: str, value: object) -> None:
    note = json.loads(order_as_text(ASKED))
    assert order_of(json.dumps({**note, name: value})) is None
    assert order_of(json.dumps(value)) is None
    del note[name]
    assert order_of(json.dumps(note)) is None


def test_what_is_no_json_orders_nothing() -> None:
    assert order_of("x") is None
