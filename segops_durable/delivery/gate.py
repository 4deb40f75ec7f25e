"""What the application says of whether to send now: `may_send`.

A link may cost, a battery be low, a shop be open. Where nothing may be sent all events stay where
they are, on disk; no answer of a callable removes one.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from segops_durable.errors import GateError
from segops_durable.errors.plain_text import shown
from segops_durable.system.clock import Clock

if TYPE_CHECKING:
    from collections.abc import Callable

    from segops_durable.errors import SegOpsError

LONGEST_WAIT = 86_400.0 * 365
"""Seconds that it may be told to wait at most, as for an option: more is not meant."""


class Gate:
    """Asks before each round, and within a long one once an interval. For the sender's thread.

    Args:
        may_send: True sends, and so does 0; False does not, and is asked again an interval later;
            a number of seconds does not, and is asked again after them. Whatever else it says, or
            raises, is told once, and counts as False. Defaults to None, which always sends.
        interval: Seconds. Defaults to 5.
        report: Called with each error; it must not raise. Defaults to nobody.
        clock: The time. Defaults to the machine's.

    Attributes:
        is_shut: Whether the last answer was that nothing is to be sent.
    """

    def __init__(
        self,
        may_send: Callable[[], bool | float] | None = None,
        interval: float = 5.0,
        report: Callable[[SegOpsError], None] = lambda _error: None,
        clock: Clock | None = None,
    ) -> None:
        self._may_send = may_send
        self._interval = interval
        self._report = report
        self._clock = clock or Clock()
        self._ask_at = -math.inf
        self._is_told = False
        self.is_shut: bool = False

    @property
    def remaining(self) -> float:
        """Seconds until it is asked again; 0 where it is open."""
        return max(0.0, self._ask_at - self._clock.monotonic()) if self.is_shut else 0.0

    def ask(self) -> bool:
        """Ask; say whether anything may be sent."""
        wait = self._answer()
        self.is_shut = wait > 0
        self._ask_at = self._clock.monotonic() + (wait or self._interval)
        return not self.is_shut

    def is_still_open(self) -> bool:
        """Whether a round may go on; asks where the last answer is an interval old."""
        if self.is_shut or self._clock.monotonic() < self._ask_at:
            return not self.is_shut
        return self.ask()

    def _answer(self) -> float:
        """Seconds for which nothing is to be sent; 0 for none."""
        if self._may_send is None:
            return 0.0
        try:
            said = self._may_send()
        except BaseException as error:  # noqa: BLE001 - sys.exit() there must not end our thread
            return self._tell(f"may_send raised {type(error).__name__}: {error}", error)
        wait = self._meant_by(said)
        if wait is None:
            return self._tell(f"may_send returned {shown(said)}, no bool or number of seconds")
        self._is_told = False
        return wait

    def _meant_by(self, said: object) -> float | None:
        """The seconds that an answer means; None where it is none."""
        if isinstance(said, bool):
            return 0.0 if said else self._interval
        is_time = isinstance(said, int | float) and 0 <= said <= LONGEST_WAIT
        return float(said) if is_time else None  # type: ignore[arg-type]  # is_time says so

    def _tell(self, problem: str, cause: BaseException | None = None) -> float:
        if not self._is_told:
            self._is_told = True
            error = GateError(problem, hint="Nothing is sent until it says True; events are kept")
            error.__cause__ = cause
            self._report(error)
        return self._interval
