from __future__ import annotations

import logging

from segops_durable import SegOpsError
from segops_durable.delivery import Reporter
from support.clock import MovableClock


class _Failing(logging.Handler):
    """A handler with a fault of its own, which `logging` lets through."""

    def __init__(self) -> None:
        super().__init__()
        self.calls = 0

    def emit(self, record: logging.LogRecord) -> None:
        self.calls += 1
        raise ValueError(record.getMessage())


def test_a_handler_of_the_log_that_raises_does_not_get_out_of_a_report() -> None:
    def give_up(_error: SegOpsError) -> None:
        raise RuntimeError("no")

    handler = _Failing()
    logger = logging.getLogger("segops_durable")
    logger.addHandler(handler)
    try:
        for on_error in (None, give_up):
            report = Reporter(on_error, MovableClock())
            error = SegOpsError("something went wrong")
            report(error)
            assert report.last_error is error
    finally:
        logger.removeHandler(handler)
    assert handler.calls == 2


def test_whoever_is_told_may_have_what_is_still_to_be_told_forgotten() -> None:
    told: list[SegOpsError] = []

    def forget(error: SegOpsError) -> None:
        told.append(error)
        report.forget("ann")

    report = Reporter(forget, MovableClock())
    others = [SegOpsError("something went wrong"), SegOpsError("and something else")]
    for error in (others[0], SegOpsError("ann is not valid"), others[1], SegOpsError("nor is ann")):
        report.postpone(error)
    report.tell_postponed()
    report.tell_postponed()
    assert told == others
