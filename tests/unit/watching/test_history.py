from __future__ import annotations

import pytest

from segops_durable.watching.history import SAMPLE_SECONDS, History, Sample

pytestmark = pytest.mark.one_python

NOW = 1_700_000_000.0


def sample(seconds: float, *, waiting: int = 0, stored: int = 0, accepted: int = 0) -> Sample:
    return Sample(NOW + seconds, seconds, waiting, stored, accepted)


def test_rates_are_of_the_last_seconds() -> None:
    history = History()
    assert history.rates() == (0.0, 0.0)
    for second in range(20):
        history.add(sample(second, stored=10 * second, accepted=4 * second))
    assert history.rates() == (10.0, 4.0)
    for second in range(20, 26):
        history.add(sample(second, stored=190, accepted=76))
    assert history.rates() == (0.0, 0.0)


def test_the_hour_has_a_point_each_quarter_of_a_minute_with_the_rates_of_it() -> None:
    history = History()
    for second in range(31):
        history.add(sample(second, waiting=second, stored=3 * second, accepted=second))
    assert history.points() == [
        (NOW, 0.0, 0.0, 0.0),
        (NOW + 15, 15.0, 3.0, 1.0),
        (NOW + 30, 30.0, 3.0, 1.0),
    ]
    assert history.live() == (NOW + 30, 30.0, 3.0, 1.0)


def test_what_was_told_of_a_time_stays_so_when_the_hour_is_over() -> None:
    history = History()
    for number in range(300):
        history.add(sample(number * SAMPLE_SECONDS, stored=15 * number))
    before = history.points()
    assert len(before) == 240
    history.add(sample(300 * SAMPLE_SECONDS, stored=15 * 300))
    assert history.points()[:-1] == before[1:]


def test_a_file_that_took_the_place_of_another_one_has_no_negative_rates() -> None:
    history = History()
    history.add(sample(0, stored=1000, accepted=900))
    history.add(sample(1, stored=10, accepted=0))
    assert history.rates() == (0.0, 0.0)


def test_the_next_sample_is_waited_for_as_long_as_is_left() -> None:
    history = History()
    assert history.seconds_to_wait(5.0) == 0
    history.add(sample(5.0))
    assert history.seconds_to_wait(7.0) == SAMPLE_SECONDS - 2
    assert history.seconds_to_wait(500.0) == 0
