"""Requests to a peer that says what a test wants, and what is made of its answers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from segops_durable.api.header_auth import HeaderAuth
from segops_durable.api.verdicts import Answer, Verdict
from support.peer import Request, answer

if TYPE_CHECKING:
    from segops_durable.api.exchange import Exchange

AUTH = HeaderAuth("ApiKey", "sk_test")
INTERIM = {
    "continue": b"HTTP/1.1 100 Continue\r\n\r\n",
    "processing": b"HTTP/1.1 102 Processing\r\n\r\n",
    "early hints": b"HTTP/1.1 103 Early Hints\r\nLink: </x>; rel=preload\r\n\r\n",
    "one of another kind": b"HTTP/1.1 199 Nearly\r\nX: y\r\n\r\n",
}
OWN, HANDED_IN = "a session of its own", "a session that was handed in"


def numbered(request: Request, **fields: Any) -> bytes:
    """The right answer to one request: it says the request's own body."""
    return answer(202, {"to": request.body.decode(), **fields})


def post(exchange: Exchange, body: str) -> Answer | Verdict:
    return exchange.post("/x", body.encode(), AUTH)


def answered(exchange: Exchange, body: str) -> str | None:
    """What an answer says that it is to; None if there was none that counts."""
    reply = post(exchange, body)
    return (reply.document or {}).get("to") if isinstance(reply, Answer) else None


# After something unexpected the connection is closed


BODY = b'{"queued": 1, "skipped": 0}'
HEAD = b"HTTP/1.1 202 Accepted\r\nContent-Type: application/json\r\n"
GOOD = HEAD + b"Content-Length: %d\r\n\r\n" % len(BODY) + BODY
