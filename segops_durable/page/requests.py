"""What a page's requests may be."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from starlette.requests import Request

_MOST_BYTES = 65_536
_MOST_IDS = 1000


class BadRequestError(Exception):
    """A request is refused.

    Attributes:
        status: The HTTP status.
        detail: Why, in words.
    """

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail


def is_of_this_page(request: Request) -> bool:
    """Whether a request is of no page, or of one of this very server.

    Browsers name a page's origin where it is another one, and with each POST. Where a proxy in
    front has the TLS, that is one of https, and the request is not.
    """
    origins = request.headers.getlist("origin")
    host = request.headers.get("host", "")
    own = {f"{scheme}://{host}".lower() for scheme in ("http", "https")}
    site = request.headers.get("sec-fetch-site", "same-origin")
    return all(each.lower() in own for each in origins) and site in {"same-origin", "none"}


def whole_number(text: str) -> int:
    """Read a number.

    Raises:
        BadRequestError: It is none.
    """
    if not text.isascii() or not text.isdigit() or len(text) > len(str(1 << 62)):
        raise BadRequestError(400, "before must be a number.")
    return int(text)


async def chosen_ids(request: Request) -> list[int] | None:
    """Read which letters a request is about; None for all that may be meant.

    Raises:
        BadRequestError: The request does not say it as it should.
    """
    if request.headers.get("content-type", "").partition(";")[0].strip() != "application/json":
        raise BadRequestError(415, "The body must be application/json.")
    try:
        document = json.loads(await _body(request))
    except (ValueError, RecursionError):
        raise BadRequestError(400, "The body must be JSON.") from None
    ids = document.get("ids") if isinstance(document, dict) and "ids" in document else ()
    if ids is None:
        return None
    if not isinstance(ids, list) or not 1 <= len(ids) <= _MOST_IDS:
        raise BadRequestError(400, f"ids must be null, or 1 to {_MOST_IDS} numbers.")
    if any(type(each) is not int for each in ids):
        raise BadRequestError(400, "ids must be numbers.")
    return ids


async def _body(request: Request) -> bytes:
    found = bytearray()
    async for part in request.stream():
        found += part
        if len(found) > _MOST_BYTES:
            raise BadRequestError(413, f"The body may have {_MOST_BYTES:,} bytes.")
    return bytes(found)
