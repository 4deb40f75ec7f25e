"""What an answer means. Pure: status, headers and body in, a `Verdict` out.

The answer is believed, not its status: a captive portal answers 200, too. So a batch
counts as accepted only when the body is the ingestion API's own, and says what became of
as many events as were sent.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime
from enum import Enum
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

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

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

    @property
    def document(self) -> dict[str, Any] | None:
        """The body as the JSON object that every answer of the API is, or None."""
        media_type = self.headers.get("Content-Type", "").partition(";")[0].strip().lower()
        if media_type != "application/json" or self.body is None:
            return None
        try:
            document = json.loads(self.body)
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
        skipped: Events that SegOps threw away for failing validation.
        retry_after: The ``Retry-After`` header, as it came.
        date: The ``Date`` header, as it came: the server's clock, which a date in
            `retry_after` is by.
        is_unsent: Whether it is certain that nothing of the request came to anyone.
    """

    meaning: Meaning
    status: int | None = None
    detail: str = ""
    skipped: int = 0
    retry_after: str | None = None
    date: str | None = None
    is_unsent: bool = False

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
        )
    is_api = answer.document is not None or answer.status == 413  # noqa: PLR2004 - any proxy may say 413
    meaning = _BY_STATUS.get(answer.status) if is_api else None
    return Verdict(meaning or Meaning.NOT_SEGOPS, answer.status, _summary(answer))


def http_date(header: str | None) -> datetime | None:
    """Read the date of a header, or None where it is not one."""
    try:
        moment = parsedate_to_datetime(header or "")
    except (TypeError, ValueError):
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)


def _summary(answer: Answer) -> str:
    """The server's words, cut to a length that a log can bear."""
    document = answer.document
    if document is not None:
        text = str(document.get("detail") or json.dumps(document, ensure_ascii=False))
    elif "Location" in answer.headers:
        text = f"a redirect to {answer.headers['Location']}"
    else:
        text = f"{answer.headers.get('Content-Type') or 'no content type'}"
    return text[:_MAX_DETAIL]
