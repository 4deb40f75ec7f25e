"""Asking SegOps why it skipped events of a batch: which they were, it does not say by itself.

A batch with skipped events is answered with their number alone. But SegOps says of a single event
whether it fits the schema of its type (``POST /api/schemas/validate/``, for secret keys). So each
event of such a batch is asked about. Where as many do not fit as were skipped, those were skipped,
and all others accepted. Where the numbers differ nobody can tell: a schema was changed since, or an
event was skipped for its ``user_id``, which no schema is about. Then nothing is changed.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from segops_durable.api import (
    Answer,
    Meaning,
    Verdict,
    http_date,
    judge_failure,
    retry_after_seconds,
)
from segops_durable.delivery.backoff import drawn_later
from segops_durable.errors.redaction import scrubbed

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Mapping

    from segops_durable.api import Exchange, HeaderAuth
    from segops_durable.errors import DeliveryError
    from segops_durable.outbox import DeadLetter, SkippedBatch
    from segops_durable.system.clock import Clock

VALIDATE_PATH = "/api/schemas/validate/"

_LONGEST_ORDER = 60.0
"""Seconds that SegOps may ask to wait, and is waited for: a minute's limit asks for no more."""

_RETRY_SECONDS = 0.5  # as for a batch
_LONGEST_WHY = 500
_WORTH_RETRYING = {Meaning.BUSY, Meaning.UNREACHABLE, Meaning.NOT_SEGOPS}
_UNCHANGED = "The dead letters are as they were; call it again"
_FIRST_FAILURE = 300


@dataclass(frozen=True)
class Explanation:
    """What is known of the events of a batch of which SegOps skipped some.

    Attributes:
        why: Why an event does not fit, in SegOps' words, by the ids of the letters.
        refused: The letters of events that were skipped.
        delivered: The letters of events that SegOps has accepted.
        unclear: Those of which nobody can tell.
    """

    why: Mapping[int, str]
    refused: tuple[int, ...]
    delivered: tuple[int, ...]
    unclear: tuple[int, ...]

    @property
    def is_clear(self) -> bool:
        """Whether it is known of each event what became of it."""
        return not self.unclear


class Explaining:
    """Asks about the events of one batch after the other. For one thread.

    Args:
        exchange: Makes the requests, no more a minute than are to be made.
        auth: With the secret key.
        max_retries: Further requests about an event after one that was not answered.
        stop: Ends all waits.
        clock: What the waits go by.
    """

    def __init__(
        self,
        exchange: Exchange,
        auth: HeaderAuth,
        *,
        max_retries: int,
        stop: threading.Event,
        clock: Clock,
    ) -> None:
        self._exchange = exchange
        self._auth = auth
        self._max_retries = max_retries
        self._stop = stop
        self._clock = clock

    def explain(self, batch: SkippedBatch, on_asked: Callable[[], object]) -> Explanation:
        """Ask about each event, and say what that shows. Nothing is changed by it.

        Args:
            batch: The batch.
            on_asked: Called after each event.

        Raises:
            DeliveryError: SegOps did not answer, or not this key.
        """
        why: dict[int, str] = {}
        for letter in batch.letters:
            if text := self._why(letter):
                why[letter.id] = text
            on_asked()
        ids = tuple(letter.id for letter in batch.letters)
        others = tuple(each for each in ids if each not in why)
        if batch.is_told_apart and len(why) == batch.skipped:
            return Explanation(why, tuple(why), others, ())
        if batch.is_told_apart and batch.skipped == batch.size:  # none of them was accepted
            return Explanation(why, tuple(why), (), others)
        return Explanation(why, (), (), ids)

    def _why(self, letter: DeadLetter) -> str:
        """Why an event does not fit; empty where it does."""
        event = letter.event or {}
        question = {"event_type": event.get("event_type"), "payload": event.get("payload") or {}}
        answer = self._ask(json.dumps(question, separators=(",", ":")).encode())
        document = answer.document or {}
        if answer.status >= _FIRST_FAILURE:
            return judge_failure(answer).detail or "it does not fit"
        is_valid = document.get("valid", document.get("is_valid"))
        if not isinstance(is_valid, bool):
            detail = "it does not say whether the event fits"
            raise self._error(Verdict(Meaning.NOT_SEGOPS, answer.status, detail), 1)
        return "" if is_valid else _words(document)

    def _ask(self, body: bytes) -> Answer:
        """The answer about an event, of which a 400 or 422 is one as well."""
        attempt = 0
        while True:
            attempt += 1
            answer = self._exchange.post(VALIDATE_PATH, body, self._auth)
            if isinstance(answer, Answer) and answer.document is not None and _is_ok(answer):
                return answer
            verdict = _verdict_on(answer)
            if verdict.meaning is Meaning.REFUSED and isinstance(answer, Answer):
                return answer
            wait = self._wait_before(verdict, attempt)
            if wait is None or self._clock.sleep(self._stop, wait):
                raise self._error(verdict, attempt)

    def _wait_before(self, verdict: Verdict, attempt: int) -> float | None:
        """Seconds until another try; None if none is made."""
        if verdict.meaning not in _WORTH_RETRYING or attempt > self._max_retries:
            return None
        if verdict.retry_after is None:
            return _RETRY_SECONDS * attempt
        now = http_date(verdict.date) or datetime.fromtimestamp(self._clock.time(), timezone.utc)
        order = retry_after_seconds(verdict.retry_after, now, 2 * _LONGEST_ORDER)
        if order is None:
            return _RETRY_SECONDS * attempt
        return order + drawn_later(order, self._clock) if order <= _LONGEST_ORDER else None

    def _error(self, verdict: Verdict, attempts: int) -> DeliveryError:
        error = verdict.as_error(batch_size=1, attempts=attempts)
        error.hint = _UNCHANGED
        return error


def _is_ok(answer: Answer) -> bool:
    return 200 <= answer.status < _FIRST_FAILURE  # noqa: PLR2004 - HTTP's own number


def _verdict_on(answer: Answer | Verdict) -> Verdict:
    """What an answer means that says nothing about the event."""
    if isinstance(answer, Verdict):
        return answer
    if _is_ok(answer):
        return Verdict(Meaning.NOT_SEGOPS, answer.status, "the answer is none of the API's")
    return judge_failure(answer)


def _words(document: Mapping[str, Any]) -> str:
    """SegOps' words on why an event does not fit, cut to a length that can be read."""
    said = document.get("errors") or document.get("detail") or "it does not fit"
    try:
        text = said if isinstance(said, str) else json.dumps(said, ensure_ascii=False)
    except (ValueError, RecursionError):
        text = "SegOps' words cannot be shown"
    return scrubbed(text[: 4 * _LONGEST_WHY])[:_LONGEST_WHY]
