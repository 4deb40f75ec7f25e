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
