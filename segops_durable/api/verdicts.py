"""What an answer means. Pure: status, headers and body in, a `Verdict` out.

The answer is believed, not its status: a captive portal answers 200, too. So a batch
counts as accepted only when the body is the ingestion API's own, and says what became of
as many events as were sent.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from enum import Enum
from functools import cached_property
from typing import TYPE_CHECKING, Any

from segops_durable.errors import (
    CredentialsError,
    DeliveryError,
    IdentityError,
    NotSegOpsError,
    RateLimitedError,
    RefusedError,
    UnreachableError,
    WrongAddressError,
)
from segops_durable.errors.redaction import scrubbed

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

_MAX_DETAIL = 1000


class Meaning(Enum):
    """What an answer, or its absence, means for the batch that was sent."""

    ACCEPTED = "accepted"  # SegOps has it: the rows may go
    REFUSED = "refused"  # 400, 422: the events are at fault
    TOO_LARGE = "too large"  # 413: the request is at fault
    CREDENTIALS = "credentials"  # 401, 403: the key is at fault
    WRONG_ADDRESS = "wrong address"  # 404, 405, 410: the api_url is at fault
    BUSY = "busy"  # 408, 425, 429: later
    UNREACHABLE = "unreachable"  # no answer, or a 5xx: try again
    NOT_SEGOPS = "not SegOps"  # an answer, but not the API's
    IDENTITY = "identity"  # no session for the user of these events
    WITHDRAWN = "withdrawn"  # it was erased before it could be sent


@dataclass(frozen=True)
class Answer:
    """An HTTP answer, read to its end or to its cap.

    Attributes:
        status: The HTTP status.
        headers: The headers, with case-insensitive names.
        body: The body; None if it was larger than any answer of the API.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes | None

    @cached_property
    def document(self) -> dict[str, Any] | None:
        """The body as the JSON object that every answer of the API is, or None."""
        media_type = self.headers.get("Content-Type", "").partition(";")[0].strip().lower()
        if media_type != "application/json" or self.body is None:
            return None
        try:
            encoding = json.detect_encoding(self.body)  # as `json.loads` has it
            document = _DECODER.decode(self.body.decode(encoding, "surrogatepass"))
        except (ValueError, RecursionError):
            return None
        return document if isinstance(document, dict) else None


@dataclass(frozen=True)
class Verdict:
    """What became of a request.

    Attributes:
        meaning: The verdict itself.
        status: The HTTP status, or None where there was no answer.
        detail: What the server said, or what went wrong, in words.
        chain: What the libraries said, where there was no answer.
        skipped: Events that SegOps threw away for failing validation.
        retry_after: The ``Retry-After`` header, as it came.
        date: The ``Date`` header, as it came: the server's clock, which a date in
            `retry_after` is by.
        is_unsent: Whether it is certain that nothing of the request came to anyone.
        is_cut: Whether it is certain that not all of it did: nobody can have accepted it.
        is_segops: Whether the answer had the form of SegOps' own.
    """

    meaning: Meaning
    status: int | None = None
    detail: str = ""
    chain: str = ""
    skipped: int = 0
    retry_after: str | None = None
    date: str | None = None
    is_unsent: bool = False
    is_cut: bool = False
    is_segops: bool = False

    @property
    def may_have_arrived(self) -> bool:
        """Whether SegOps may have accepted what was sent, without our hearing of it.

        There was no answer to the end, or one that is not about the events: a gateway's that
        has lost SegOps' own, a success that is not SegOps', a redirect. Whoever sent these
        events under another key could send them twice, and nobody could tell.
        """
        if self.is_unsent or self.is_cut or self.meaning is Meaning.ACCEPTED:
            return False
        return self.status is None or self.status < _FIRST_ERROR or self.status in _GATEWAYS

    def as_error(
        self,
        *,
        batch_size: int,
        attempts: int,
        retry_at: datetime | None = None,
        events: Sequence[dict[str, Any]] = (),
    ) -> DeliveryError:
        """The typed error that tells the user of this verdict."""
        kind, what, hint = _ERRORS[self.meaning]
        status = "" if self.status is None else f" (HTTP {self.status})"
        detail = f": {self.detail}" if self.detail else ""
        return kind(
            f"{what}{status}{detail}",
            batch_size=batch_size,
            attempts=attempts,
            status=self.status,
            retry_at=retry_at,
            events=events,
            hint=hint,
            chain=self.chain,
        )


_KEPT = "The events wait on disk"
_BURIED = "It is kept in the dead letters"
_ERRORS: dict[Meaning, tuple[type[DeliveryError], str, str]] = {
    Meaning.REFUSED: (RefusedError, "SegOps refused an event", _BURIED),
    Meaning.TOO_LARGE: (RefusedError, "an event is too large for SegOps", _BURIED),
    Meaning.CREDENTIALS: (CredentialsError, "the API key is not accepted", f"{_KEPT}; mend it"),
    Meaning.WRONG_ADDRESS: (WrongAddressError, "no SegOps at api_url", f"{_KEPT}; mend api_url"),
    Meaning.BUSY: (RateLimitedError, "SegOps asks for patience", _KEPT),
    Meaning.UNREACHABLE: (UnreachableError, "SegOps cannot be reached", f"{_KEPT}; it will retry"),
    Meaning.NOT_SEGOPS: (
        NotSegOpsError,
        "something other than SegOps answered",
        f"{_KEPT}; look for a captive portal or a proxy",
    ),
    Meaning.IDENTITY: (
        IdentityError,
        "there is no session for the user of these events",
        f"{_KEPT}; get_user() or user_context_for() has to give a context that SegOps accepts",
    ),
}
_BUSY = {408, 425, 429}
_FIRST_ERROR = 400
_GATEWAYS = {502, 504, *range(520, 531), 598, 599}
"""What gateways say that had no answer: 502 and 504, and what large ones have of their own."""

_BY_STATUS = {
    400: Meaning.REFUSED,
    401: Meaning.CREDENTIALS,
    403: Meaning.CREDENTIALS,
    404: Meaning.WRONG_ADDRESS,
    405: Meaning.WRONG_ADDRESS,
    410: Meaning.WRONG_ADDRESS,
    413: Meaning.TOO_LARGE,
    422: Meaning.REFUSED,
}


def judge_batch(answer: Answer, rows: int) -> Verdict:
    """Judge the answer to a batch of `rows` events."""
    document = answer.document
    if not 200 <= answer.status < 300:  # noqa: PLR2004 - HTTP's own numbers
        return judge_failure(answer)
    if document is not None:
        queued, skipped = document.get("queued"), document.get("skipped")
        if type(queued) is int and type(skipped) is int and min(queued, skipped) >= 0:
            if queued + skipped == rows:
                return Verdict(Meaning.ACCEPTED, answer.status, skipped=skipped)
            detail = f"it counts {queued} + {skipped} events of {rows}"
            return Verdict(Meaning.NOT_SEGOPS, answer.status, detail)
    return Verdict(Meaning.NOT_SEGOPS, answer.status, _summary(answer))


def judge_failure(answer: Answer) -> Verdict:
    """Judge an answer that is no success, to any call of the API."""
    if answer.status in _BUSY or answer.status >= 500:  # noqa: PLR2004 - HTTP's own number
        return Verdict(
            Meaning.BUSY if answer.status in _BUSY else Meaning.UNREACHABLE,
            answer.status,
            _summary(answer),
            retry_after=answer.headers.get("Retry-After"),
            date=answer.headers.get("Date"),
            is_segops=answer.document is not None,
        )
    is_api = answer.document is not None or answer.status == 413  # noqa: PLR2004 - any proxy may say 413
    meaning = _BY_STATUS.get(answer.status) if is_api else None
    return Verdict(meaning or Meaning.NOT_SEGOPS, answer.status, _summary(answer))


def _unambiguous(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Refuse a name that comes twice: one of them would count, and nobody knows which."""
    document = dict(pairs)
    if len(document) < len(pairs):
        raise ValueError("a name comes twice")
    return document


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


# `json.loads` makes one for each answer, which takes as long as the answer
_DECODER = json.JSONDecoder(object_pairs_hook=_unambiguous, parse_constant=_refuse_constant)


def _summary(answer: Answer) -> str:
    """The server's words, cut to a length that a log can bear."""
    document = answer.document
    if document is not None:
        text = _words(document)
    elif "Location" in answer.headers:
        text = f"a redirect to {answer.headers['Location']}"
    else:
        text = f"{answer.headers.get('Content-Type') or 'no content type'}"
    # half of a surrogate pair cannot be written down, with the event that it is about
    text = scrubbed(text[: 4 * _MAX_DETAIL])[:_MAX_DETAIL]
    return text.encode(errors="replace").decode()


def _words(document: dict[str, Any]) -> str:
    try:
        return str(document.get("detail") or json.dumps(document, ensure_ascii=False))
    except (ValueError, RecursionError):  # a number of thousands of digits, or lists in lists
        return "an answer that cannot be shown"
