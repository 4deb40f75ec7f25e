"""The judge of the proofs: each thing that must not be is noticed, and nothing else is."""

from __future__ import annotations

import json
from copy import deepcopy
from typing import Any

import pytest
from proof.events import make_event
from proof.judge import Findings, judge
from proof.recorder import Record

pytestmark = pytest.mark.one_python

NAMES = [f"0-1-0-{number}" for number in (1, 2, 3)]


def batch(
    *events: dict[str, Any], key: str = "k", is_accepted: bool = True, text: str | None = None
) -> Record:
    return Record(key, is_accepted, json.dumps({"events": events}) if text is None else text)


def whole(**options: Any) -> Record:
    return batch(*map(make_event, NAMES), **options)


def test_what_still_waits_is_not_lost_and_is_not_well_either() -> None:
    found = judge(NAMES, [whole(is_accepted=False)], allowed=0, waiting=len(NAMES))
    assert (found.lost, found.waiting) == (0, len(NAMES))
    assert found.problems() == ["3 events could not be sent in the end"]


def test_what_arrived_as_it_was_tracked_is_well() -> None:
    found = judge(NAMES, [whole()], allowed=0)
    assert found == Findings(acknowledged=3, arrived=3)
    line, status = found.verdict("2 kills")
    assert (line.startswith("VERDICT: ok. 2 kills: 3 events"), status) == (True, 0)


def test_what_was_refused_has_not_arrived() -> None:
    found = judge(NAMES, [whole(is_accepted=False)], allowed=0)
    assert (found.lost, found.arrived) == (3, 0)
    assert found.verdict("x") == ("VERDICT: FAILED. x: 3 acknowledged events are lost", 1)


def test_what_was_not_acknowledged_may_arrive_or_not() -> None:
    assert judge(NAMES[:2], [whole()], allowed=0).problems() == []


@pytest.mark.parametrize("part", ["user_id", "occurred_at", "payload"])
def test_an_event_that_was_altered_is_noticed_and_counts_as_lost(part: str) -> None:
    altered = deepcopy(make_event(NAMES[0]))
    altered[part] = {**altered[part], "blob": "y"} if part == "payload" else "other"
    found = judge(NAMES[:1], [batch(altered)], allowed=0)
    assert (found.altered, found.lost) == (1, 1)


@pytest.mark.parametrize("text", ["", "[]", "null", '{"events":[null]}', '{"events":[{"a":1}]}'])
def test_what_is_no_batch_of_events_is_noticed(text: str) -> None:
    assert judge([], [batch(text=text)], allowed=0).altered == 1


def test_a_key_that_comes_with_another_body_is_noticed_even_if_it_was_refused() -> None:
    records = [whole(is_accepted=False), batch(make_event(NAMES[0])), whole(key="other")]
    assert judge(NAMES, records, allowed=9).conflicts == 1


def test_a_batch_without_a_key_is_noticed() -> None:
    assert judge(NAMES, [whole(key="")], allowed=0).conflicts == 1


@pytest.mark.parametrize(("allowed", "problems"), [(3, 0), (2, 1)])
def test_duplicates_are_bounded(allowed: int, problems: int) -> None:
    found = judge(NAMES, [whole(), whole()], allowed=allowed)
    assert found.duplicates == 3
    assert len(found.problems()) == problems


def test_nothing_at_all_shows_nothing() -> None:
    assert Findings().verdict("x")[1] == 1


def test_an_event_that_does_not_say_when_may_come_with_any_time_and_has_to_come_with_one() -> None:
    untimed = make_event("0-1-0-5")
    assert "occurred_at" not in untimed
    timed = {**untimed, "occurred_at": "1999-12-31T23:59:59Z"}
    assert judge(["0-1-0-5"], [batch(timed)], allowed=0).problems() == []
    assert judge(["0-1-0-5"], [batch(untimed)], allowed=0).altered == 1


def test_what_was_refused_and_is_kept_is_not_lost() -> None:
    found = judge(NAMES, [whole(is_accepted=False)], 0, [make_event(each) for each in NAMES[:2]])
    assert (found.refused, found.lost) == (2, 1)


def test_findings_of_several_outboxes_add_up() -> None:
    one = judge(NAMES, [whole(), whole()], allowed=3)
    assert one + one == Findings(acknowledged=6, arrived=6, duplicates=6, allowed=6)
