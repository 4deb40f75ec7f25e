"""Whatever happens, in whatever order: accepted, waiting and dead are what was tracked."""

from __future__ import annotations

import json
import random
import tempfile
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import hypothesis.strategies as some
import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from segops_durable import Cause
from segops_durable.client.options import Options
from segops_durable.client.wiring import delivery_of, intake_of
from segops_durable.events import PRIORITIES
from segops_durable.outbox import Outbox
from support.clock import MovableClock
from support.moody import KINDS, Moody, crash
from support.rig import Rig

if TYPE_CHECKING:
    from collections.abc import Callable

ANSWERS = 10_000
EVENTS = 20_000


def waiting(rig: Rig) -> Counter[int]:
    rows = rig.outbox._store.read("SELECT data FROM queue_outbox")
    return Counter(json.loads(row[0])["payload"]["n"] for row in rows)


def dead(rig: Rig, *causes: Cause) -> Counter[int]:
    letters = [letter for letter in rig.outbox.dead_letters if letter.cause in (causes or Cause)]
    return Counter(letter.event["payload"]["n"] for letter in letters if letter.event)


def check(rig: Rig, segops: Moody, tracked: int) -> None:
    """Nothing is missing, and nothing is in two places without a reason."""
    here, gone, there = waiting(rig), dead(rig), segops.accepted
    assert set(here) | set(gone) | set(there) == set(range(tracked))
    assert set(here) & set(there) <= segops.unheard
    assert set(here) & set(gone) == set()
    twice = {number for number, count in there.items() if count > 1}
    assert twice <= segops.unheard
    refused = set(dead(rig, Cause.REFUSED, Cause.TOO_LARGE))
    assert refused & set(there) <= segops.unheard
    assert set(dead(rig, Cause.EXPIRED)) & set(there) == set(), "what may have arrived stays"
    assert max([*here.values(), *gone.values()], default=1) == 1
    assert segops.conflicts == []
    assert rig.outbox.waiting.counts().pending == sum(here.values())


def settle(rig: Rig) -> None:
    """Let the pauses pass, and send all."""
    for _ in range(200):
        if not rig.outbox.waiting.counts().pending:
            return
        rig.clock.move(3600)
        rig.round(is_asked_for=True)
    raise AssertionError("it does not come to an end")


class Life(RuleBasedStateMachine):
    """An outbox and its delivery, tracked to, crashed, and answered at random."""

    @initialize(
        newest_share=some.sampled_from([0.0, 0.3]),
        catch_up_batch_size=some.sampled_from([None, 24]),
        max_age=some.sampled_from([None, 9000.0]),
    )
    def begin(self, **order: Any) -> None:
        self.order = order
        self.directory = tempfile.TemporaryDirectory(prefix="segops-model-")
        self.clock = MovableClock()
        self.plan: list[str] = []
        self.tracked = 0
        self.lives = 0
        self.segops = Moody(lambda: self.plan.pop(0) if self.plan else "accept")
        self.segops.__enter__()
        self.open(self.place())

    def place(self) -> Path:
        self.lives += 1
        return Path(self.directory.name, f"life-{self.lives}", "outbox.db")

    def open(self, queue_path: Path) -> None:
        options = Options(
            api_url=self.segops.url,
            api_key="sk_test",
            queue_path=queue_path,
            batch_size=8,
            **self.order,
            max_retries=1,
            on_error=lambda _error: None,
        )
        outbox = Outbox(
            queue_path,
            api_url=options.api_url,
            key_fingerprint=options.key_fingerprint,
            clock=self.clock,
            max_age=options.max_age,
        )
        delivery = delivery_of(options, outbox, None, self.clock)
        intake = intake_of(options, outbox, None, self.clock)
        self.rig = Rig(outbox, delivery, self.clock, [], intake)

    @rule(count=some.integers(1, 20), priority=some.sampled_from(PRIORITIES))
    def track(self, count: int, priority: str) -> None:
        self.rig.append(count, self.tracked, priority)
        self.tracked += count

    @rule(kinds=some.lists(some.sampled_from(KINDS), min_size=1, max_size=12))
    def be_moody(self, kinds: list[str]) -> None:
        self.plan = kinds

    @rule(is_asked_for=some.booleans())
    def send(self, is_asked_for: bool) -> None:
        self.rig.clock.move(self.rig.delivery.sender.pause_seconds)
        self.rig.round(is_asked_for=is_asked_for)

    @rule(seconds=some.integers(0, 4000))
    def time_passes(self, seconds: int) -> None:
        self.clock.move(seconds)

    @rule()
    def put_back(self) -> None:
        self.rig.outbox.dead_letters.retry(None)

    @rule()
    def crash_and_reopen(self) -> None:
        copy = self.place()
        crash(self.rig.outbox.path, copy)
        self.rig.close()
        self.open(copy)

    @rule(request=some.integers(1, 6))
    def crash_in_flight_and_reopen(self, request: int) -> None:
        """The power goes while a request is under way, which arrives all the same."""
        copy = self.place()
        left = request

        def crash_at_last() -> None:
            nonlocal left
            left -= 1
            if left == 0:
                crash(self.rig.outbox.path, copy)
                # what comes later did not happen; of this one, the answer is never heard
                self.plan = ["accept and hang up"] + ["hang up"] * 100

        self.segops.on_request = crash_at_last
        self.send(is_asked_for=True)
        self.segops.on_request = lambda: None
        self.plan = []
        if left <= 0:
            self.rig.close()
            self.open(copy)

    @invariant()
    def nothing_is_missing(self) -> None:
        if hasattr(self, "rig"):
            check(self.rig, self.segops, self.tracked)

    def teardown(self) -> None:
        if not hasattr(self, "rig"):
            return
        try:
            self.plan = []
            settle(self.rig)
            check(self.rig, self.segops, self.tracked)
        finally:
            self.rig.close()
            self.segops.__exit__(None, None, None)
            self.directory.cleanup()


TestLife = pytest.mark.long(Life.TestCase)
TestLife.settings = settings(
    max_examples=50,
    stateful_step_count=25,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)


@pytest.mark.long
def test_10000_answers_of_all_kinds_over_20000_events_lose_nothing_and_double_nothing(
    make_rig: Callable[..., Rig],
) -> None:
    chance = random.Random(2026)
    others = [kind for kind in KINDS if kind not in {"accept", "too large"}]
    given: Counter[str] = Counter()

    def mood() -> str:
        kind = "accept"
        if given.total() < ANSWERS and chance.random() > 0.05:
            # each of those makes single requests of many events for ten minutes
            kind = "too large" if chance.random() < 0.005 else chance.choice(others)
        given[kind] += 1
        return kind

    with Moody(mood) as segops:
        rig = make_rig(segops.url)
        tracked = 0
        while given.total() < ANSWERS:
            if tracked < EVENTS:
                count = min(chance.randrange(1, 30), EVENTS - tracked)
                rig.append(count, first=tracked)
                tracked += count
            elif not rig.outbox.waiting.counts().pending:
                break
            rig.next_round()
        assert given.total() >= ANSWERS, "it was over too soon"
        assert set(given) == set(KINDS)
        while tracked < EVENTS:
            rig.append(1, first=tracked)
            tracked += 1
        settle(rig)
        check(rig, segops, EVENTS)
        assert set(waiting(rig)) == set()
        skipped = dead(rig, Cause.SKIPPED)
        both = set(segops.accepted) & set(dead(rig))
        assert both <= segops.unheard | set(skipped)
