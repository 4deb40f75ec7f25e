"""The API of SegOps: one bounded request, and what its answer means.

A batch goes through these rooms, and comes back as a `Verdict`:

1. `transport` sends one batch, once; `handshake` gets the token that a public key needs for it.
2. `exchange` makes the request: bounded in time (`deadline`) and in number (`pacing`, at the
   `rate` that is allowed or was learned), over connections of our own (`own_way`, `connection`),
   to whichever address answers first (`connecting`), or over a session that was `handed_in`, so
   that it is known how far it came (`progress`) and that no log tells of it (`quiet`).
3. `response` reads the answer, all of it or to its cap, past what proxies add (`headers`).
4. `verdicts` judges it, without any state; `retry_after` reads how long to wait. Where there was
   none, `trouble` says why in a sentence.

An application may have each request looked on at (`observing`).

Nothing here knows the outbox: a batch is whatever is `Sendable`.
"""

from __future__ import annotations

from segops_durable.api.exchange import Exchange
from segops_durable.api.handshake import SESSION_PATH, Handshake
from segops_durable.api.header_auth import HeaderAuth
from segops_durable.api.noted_rate import rate_of, spare_of
from segops_durable.api.observing import Observer, Watch
from segops_durable.api.pacing import Pacer, Turns
from segops_durable.api.rate import Rate
from segops_durable.api.retry_after import http_date, retry_after_seconds
from segops_durable.api.sendable import Sendable
from segops_durable.api.transport import BATCH_PATH, Transport
from segops_durable.api.verdicts import Answer, Meaning, Verdict, judge_failure

__all__ = [
    "BATCH_PATH",
    "SESSION_PATH",
    "Answer",
    "Exchange",
    "Handshake",
    "HeaderAuth",
    "Meaning",
    "Observer",
    "Pacer",
    "Rate",
    "Sendable",
    "Transport",
    "Turns",
    "Verdict",
    "Watch",
    "http_date",
    "judge_failure",
    "rate_of",
    "retry_after_seconds",
    "spare_of",
]
