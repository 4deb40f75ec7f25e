"""One batch on its way: how often it is tried, as whom, and what is known of it afterwards."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timezone
from itertools import chain
from typing import TYPE_CHECKING, TypeVar

import tenacity

from segops_durable.api import Meaning, Verdict, http_date, retry_after_seconds
from segops_durable.delivery.outcome import INCONCLUSIVE, Outcome, erased_too_late
from segops_durable.errors import IdentityError, StorageError
from segops_durable.identity import WHOEVER

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable

    from segops_durable.api import Transport
    from segops_durable.delivery.arrivals import Arrivals
    from segops_durable.delivery.pace import Pace
    from segops_durable.errors import SegOpsError
    from segops_durable.identity import Users
    from segops_durable.outbox import Batch, Outbox
    from segops_durable.system.clock import Clock

RETRY_SECONDS = 0.5
"""The back-off of every SegOps SDK: 500 ms times the attempt (public documentation)."""

_T = TypeVar("_T")


class Attempt:
    """Sends a batch, with retries, and says how it fared. For the sender's thread.

    Args:
        outbox: Where the batch was taken from.
        transport: Where it goes.
        arrivals: Where is noted how each request ended.
        pace: How long SegOps may ask to wait.
        report: Called with each error; it must not raise.
        users: Who is using the device; None under a secret key.
        stop: Ends the retries, and their waits.
        clock: The time.
    """

    def __init__(
        self,
        outbox: Outbox,
        transport: Transport,
        arrivals: Arrivals,
        pace: Pace,
        report: Callable[[SegOpsError], None],
        *,
        users: Users | None,
        stop: threading.Event,
        clock: Clock,
    ) -> None:
        self._outbox = outbox
        self._transport = transport
        self._arrivals = arrivals
        self._pace = pace
        self._report = report
        self._users = users
        self._stop = stop
        self._clock = clock

    def make(
        self, batch: Batch, max_retries: int, meanwhile: Callable[[], object] = lambda: None
    ) -> Outcome:
        """Send a batch; say how it fared, without those who were erased meanwhile.

        Args:
            batch: The batch; it is marked in flight, on disk.
            max_retries: Requests after the first, while none is conclusive.
            meanwhile: Called while an answer is awaited; it must not raise. Defaults to nothing.

        Raises:
            StorageError: The disk failed before a request.
        """
        self._transport.meanwhile = meanwhile
        if batch.sent_as == WHOEVER and self._users is not None:
            try:
                batch = self._outbox.batches.assign(batch, self._users.current().identity)
            except IdentityError as error:
                verdict = Verdict(Meaning.IDENTITY, detail=error.message, is_unsent=True)
                return self._after_erasures(Outcome(batch, verdict, 0))
        return self._after_erasures(self._send(batch, max_retries))

    def _send(self, batch: Batch, max_retries: int) -> Outcome:
        verdicts: list[Verdict] = []

        def send() -> Verdict:
            verdicts.append(self._transport.send(batch))
            return verdicts[-1]

        try:
            verdict = send_with_retries(
                send,
                is_worth_retrying=lambda verdict: (
                    verdict.meaning in INCONCLUSIVE and verdict.retry_after is None
                ),
                max_retries=max_retries,
                stop=self._stop,
                clock=self._clock,
            )
        finally:  # the disk is asked before each attempt, and may fail after the first
            self._arrivals.note(batch, verdicts)
        is_unsent = all(each.is_unsent for each in verdicts)
        if verdict.is_unsent != is_unsent:
            verdict = replace(verdict, is_unsent=is_unsent)
        return Outcome(batch, verdict, len(verdicts), retry_after=self._order_of(verdict))

    def _order_of(self, verdict: Verdict) -> float | None:
        """Seconds that the answer asks to wait: a date is by the server's clock, if it shows it."""
        if verdict.retry_after is None:
            return None
        now = http_date(verdict.date) or datetime.fromtimestamp(self._clock.time(), timezone.utc)
        longest = self._pace.max_retry_after
        return retry_after_seconds(verdict.retry_after, now, longest) or None

    def _after_erasures(self, outcome: Outcome) -> Outcome:
        """Tell of events that were erased on their way, and leave them out of what else is told.

        Whatever the disk says: an answer that is forgotten is asked for again. Where all were
        accepted there is nothing else to tell, and it shows when they are removed.
        """
        batch = outcome.batch
        if outcome.meaning is Meaning.ACCEPTED and not outcome.verdict.skipped:
            return outcome
        try:
            if outcome.meaning is Meaning.WITHDRAWN or self._outbox.batches.is_whole(batch):
                return outcome
            left = self._outbox.batches.left_of(batch)
        except StorageError:
            return outcome.unread()
        if not outcome.verdict.is_unsent:
            self._report(erased_too_late(len(batch.rows) - len(left), outcome))
        return outcome.after_erasure(left)


def send_with_retries(
    send: Callable[[], _T],
    *,
    is_worth_retrying: Callable[[_T], bool],
    max_retries: int,
    stop: threading.Event,
    clock: Clock,
) -> _T:
    """Call `send` until it is not worth retrying, retries run out, or `stop` is set.

    Args:
        send: One attempt.
        is_worth_retrying: Whether another attempt may help.
        max_retries: Attempts after the first.
        stop: Ends a wait between attempts, and the attempts.
        clock: What the waits go by.

    Returns:
        The last attempt's outcome.
    """

    def wait(seconds: float) -> None:
        clock.sleep(stop, seconds)

    first = send()
    if not max_retries or not is_worth_retrying(first):
        return first  # nearly always: what follows takes as long as a tenth of a request
    outcomes = chain([first], iter(send, object()))
    retrying = tenacity.Retrying(
        retry=tenacity.retry_if_result(is_worth_retrying),
        # both need the event: a sleep that it ends would otherwise return at once, and spin
        stop=tenacity.stop_after_attempt(max_retries + 1) | tenacity.stop_when_event_set(stop),
        sleep=wait,
        wait=tenacity.wait_incrementing(start=RETRY_SECONDS, increment=RETRY_SECONDS),
        retry_error_callback=_last_outcome,
        reraise=True,
    )
    outcome: _T = retrying(lambda: next(outcomes))
    return outcome


def _last_outcome(state: tenacity.RetryCallState) -> object:
    if state.outcome is None:  # pragma: no cover - tenacity calls this after an attempt only
        raise RuntimeError("no attempt was made")
    return state.outcome.result()
