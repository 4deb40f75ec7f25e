"""The paths of SegOps' own that a relay answers, and room for others."""

from __future__ import annotations

import asyncio
import json
from hashlib import sha256
from typing import TYPE_CHECKING

from starlette.applications import Starlette
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from segops_durable.api import BATCH_PATH, SESSION_PATH
from segops_durable.errors import SegOpsError
from segops_durable.outbox import Receipt, RepeatedRequestError
from segops_durable.relay.access import Access
from segops_durable.relay.answers import RefusedError, detail, not_stored
from segops_durable.relay.bodies import GoneError, read_body
from segops_durable.relay.documents import encode_all, events_of, read_document

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from starlette.requests import Request
    from starlette.routing import BaseRoute
    from starlette.types import ASGIApp

    from segops_durable.intake import Encoded
    from segops_durable.relay.callers import Caller, Callers
    from segops_durable.relay.client import RelayClient
    from segops_durable.relay.sessions import Sessions
    from segops_durable.relay.settings import RelaySettings

    Handler = Callable[[Request], Awaitable[Response]]

TRACK_PATH = "/api/ingestion/track/"
_BYTES_OF_A_THREAD = 1 << 17
"""What is larger is read on another thread, so that others are served meanwhile."""
_BYTES_OF_A_SESSION = 1 << 16
_LONGEST_KEY = 255


class App:
    """The endpoints, and what they share.

    Args:
        client: Stores events.
        callers: Says who sends them.
        sessions: Opens sessions.
        settings: What a request may be.
    """

    def __init__(
        self, client: RelayClient, callers: Callers, sessions: Sessions, settings: RelaySettings
    ) -> None:
        self._client = client
        self._callers = callers
        self._sessions = sessions
        self._settings = settings

    def asgi(self, more: Sequence[BaseRoute] = ()) -> ASGIApp:
        """Make the application.

        Args:
            more: What is served beside SegOps' own paths. Defaults to nothing.
        """
        routes = [
            Route(TRACK_PATH, _guarded(self._track), methods=["POST"]),
            Route(BATCH_PATH, _guarded(self._batch), methods=["POST"]),
            Route(SESSION_PATH, _guarded(self._session), methods=["POST"]),
            *more,
        ]
        starlette = Starlette(routes=routes, exception_handlers={404: _missing, 405: _missing})
        starlette.router.redirect_slashes = False  # an SDK that follows a redirect posts no more
        cors = CORSMiddleware(
            starlette,
            allow_origins=[each.lower() for each in self._settings.allow_origins],
            allow_methods=["GET", "POST"],
            allow_headers=["Authorization", "Content-Encoding", "Idempotency-Key"],
            allow_private_network=True,
            expose_headers=["Retry-After"],
        )
        return Access(cors, self._settings)

    async def _track(self, request: Request) -> Response:
        caller, body = await self._asked(request)
        document, write = read_document(body)
        events = self._encoded([document], write, caller, is_batch=False)
        return await self._stored(request, caller, body, events, {"queued": True})

    async def _batch(self, request: Request) -> Response:
        caller, body = await self._asked(request)
        if len(body) > _BYTES_OF_A_THREAD:
            events = await asyncio.to_thread(self._events_of, body, caller)
        else:
            events = self._events_of(body, caller)
        answer = {"queued": len(events.encoded), "skipped": 0}
        return await self._stored(request, caller, body, events, answer)

    async def _session(self, request: Request) -> Response:
        self._callers.check_public(request.headers, is_local=request.scope["is_local"])
        body = await self._body(request, _BYTES_OF_A_SESSION)
        document, _ = read_document(body or b"{}")
        return JSONResponse(await self._sessions.open(document))

    async def _asked(self, request: Request) -> tuple[Caller, bytes]:
        """Who asks, and what; one who may not is refused before anything is read."""
        is_local = request.scope["is_local"]
        caller = self._callers.who(request.headers, request.query_params, is_local=is_local)
        return caller, await self._body(request)

    async def _body(self, request: Request, most: int | None = None) -> bytes:
        settings = self._settings
        most = min(settings.max_body_bytes, most or settings.max_body_bytes)
        return await read_body(request.receive, request.headers, most, settings.body_timeout)

    def _events_of(self, body: bytes, caller: Caller) -> Encoded:
        document, write = read_document(body)
        return self._encoded(events_of(document), write, caller, is_batch=True)

    def _encoded(
        self,
        events: list[object],
        write: Callable[[object], bytes],
        caller: Caller,
        *,
        is_batch: bool,
    ) -> Encoded:
        largest, now = self._client.options.max_event_bytes, self._client.moment()
        return encode_all(events, write, now, caller.anonymous_id, largest, is_batch=is_batch)

    async def _stored(
        self,
        request: Request,
        caller: Caller,
        body: bytes,
        events: Encoded,
        answer: Mapping[str, object],
    ) -> Response:
        """Answer once the events are on the disk."""
        text = json.dumps(answer, separators=(",", ":"))
        receipt = self._receipt(request, caller, body, text)
        try:
            await self._client.accept(events, caller.identity, receipt)
        except RepeatedRequestError as repeated:
            if not repeated.is_same:
                raise detail(422, "The Idempotency-Key was used for another body.") from None
            text = repeated.answer
        except SegOpsError as error:
            raise not_stored(error) from error
        return Response(text, 202, media_type="application/json")

    def _receipt(
        self, request: Request, caller: Caller, body: bytes, answer: str
    ) -> Receipt | None:
        key = request.headers.get("idempotency-key")
        if key is None:
            return None
        if not 0 < len(key) <= _LONGEST_KEY:
            raise detail(400, f"An Idempotency-Key has 1 to {_LONGEST_KEY} letters.")
        whole = f"{request.scope['path']}\0{caller.name}\0{key}"
        known_by = sha256(whole.encode(errors="replace")).hexdigest()
        window = self._settings.replay_window
        return Receipt(known_by, sha256(body).hexdigest(), answer, window)


def _guarded(handler: Handler) -> Handler:
    """Have what a handler refuses answered."""

    async def serve(request: Request) -> Response:
        try:
            return await handler(request)
        except RefusedError as refused:
            return refused.answer
        except GoneError:
            return Response(status_code=499)  # nobody is there to read it

    return serve


async def _missing(_request: Request, error: Exception) -> Response:
    status = getattr(error, "status_code", 404)
    return detail(status, str(getattr(error, "detail", error))).answer
