"""The way to SegOps, tried with a request that sends no event."""

from __future__ import annotations

import time
from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING

from segops_durable._version import __version__
from segops_durable.api import (
    BATCH_PATH,
    SESSION_PATH,
    Answer,
    Exchange,
    HeaderAuth,
    Meaning,
    http_date,
    judge_failure,
)
from segops_durable.cli.command import is_verbose
from segops_durable.cli.configuration import NO_KEY
from segops_durable.cli.diagnosis.finding import Finding, Grade
from segops_durable.cli.output import duration

if TYPE_CHECKING:
    from collections.abc import Iterator

    from segops_durable.client import Options

_CLOCK_SECONDS = 120


def look_at_server(options: Options) -> Iterator[Finding]:
    """Whether SegOps can be reached and takes the key; no event is sent."""
    exchange = Exchange(
        options.api_url, timeout=options.timeout, user_agent=f"segops-durable/{__version__}"
    )
    path = SESSION_PATH if options.has_public_key else BATCH_PATH
    # a session for a visitor, or a batch of no events, which is refused: neither sends anything
    body = (
        b'{"anonymous_id":"segops-durable-doctor"}' if options.has_public_key else b'{"events":[]}'
    )
    with closing(exchange):
        answer = exchange.post(path, body, HeaderAuth("ApiKey", options.api_key))
    if not isinstance(answer, Answer):
        mend = "Check the network, the proxy settings and api_url"
        chain = f" ({answer.chain})" if answer.chain and is_verbose() else ""
        yield Finding("server", Grade.FAILED, answer.detail + chain, mend)
        return
    if answer.document is None:
        stranger = _FINDINGS[Meaning.NOT_SEGOPS]
        yield replace(stranger, text=f"{stranger.text}HTTP {answer.status}")
        return
    found = finding_of(answer)
    if found.check == "key" and options.api_key == NO_KEY:  # which was told of already
        found = Finding("server", Grade.OK, "it answers")
    yield found
    date = http_date(answer.headers.get("Date"))
    if date is not None and abs(date.timestamp() - time.time()) > _CLOCK_SECONDS:
        off = duration(abs(date.timestamp() - time.time()))
        yield Finding("clock", Grade.NOTE, f"{off} off the server's", "Let NTP set it")


def finding_of(answer: Answer) -> Finding:
    """What an answer of SegOps says of the address and the key, as its verdict on a batch would.

    A refusal is about events. None was sent, so it says that all the rest is well.
    """
    if 200 <= answer.status < 300:  # noqa: PLR2004 - HTTP's own numbers
        return _TAKEN
    verdict = judge_failure(answer)
    found = _FINDINGS.get(verdict.meaning, _TAKEN)
    if found is _TAKEN:
        return found
    said = verdict.detail if answer.document else ""  # an empty document has no words
    return replace(found, text=f"{found.text}HTTP {answer.status} {said}".strip())


_TAKEN = Finding("server", Grade.OK, "it answers, and takes the key")
_IN_TROUBLE = Finding(
    "server",
    Grade.NOTE,
    "it is there, and in trouble: ",
    "Wait; events are sent when it is well",
)
_FINDINGS = {
    Meaning.CREDENTIALS: Finding(
        "key", Grade.FAILED, "", "Set another key: SEGOPS_API_KEY, or set_api_key() in the client"
    ),
    Meaning.WRONG_ADDRESS: Finding("server", Grade.FAILED, "", "Mend api_url"),
    Meaning.BUSY: _IN_TROUBLE,
    Meaning.UNREACHABLE: _IN_TROUBLE,
    Meaning.NOT_SEGOPS: Finding(
        "server",
        Grade.FAILED,
        "something that is not SegOps answered, ",
        "Look for a captive portal or a proxy",
    ),
}
"""By what an answer means; the status and the server's words follow each text."""
