"""The paths of SegOps' own that a relay answers, and room for others."""

from __future__ import annotations

import asyncio
import json
from hashlib import sha256
from typing import TYPE_CHECKING

from starlette.applications import Starlette
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import Response
from starlette.routing import Route

from segops_durable.api import BATCH_PATH, SESSION_PATH
from segops_durable.errors import ClosedError, SegOpsError
from segops_durable.outbox import Receipt, RepeatedRequestError
from segops_durable.relay.access import Access
from segops_durable.relay.answers import RefusedError, detail, not_stored
from segops_durable.relay.bodies import GoneError, read_body
from segops_durable.relay.documents import encode_all, events_of, read_document
from segops_durable.relay.protocol import is_alone

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from starlette.requests import Request
    from starlette.routing import BaseRoute
    from starlette.types import ASGIApp, Receive, Scope, Send

    from segops_durable.intake import Encoded
    from segops_durable.relay.callers import Caller, Callers
    from segops_durable.relay.client import RelayClient
    from segops_durable.relay.sessions import Sessions
    from segops_durable.relay.settings import RelaySettings

    Handler = Callable[[Scope, Receive], Awaitable[tuple[int, str]]]
    """Gives the status and the JSON of an answer."""

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
        own = {
            TRACK_PATH: _Endpoint(self._track),
            BATCH_PATH: _Endpoint(self._batch),
            SESSION_PATH: _Endpoint(self._session),
        }
        routes = [*(Route(path, each, methods=["POST"]) for path, each in own.items()), *more]
        starlette = Starlette(routes=routes, exception_handlers={404: _missing, 405: _missing})
        starlette.router.redirect_slashes = False  # an SDK that follows a redirect posts no more
        cors = CORSMiddleware(
            starlette,
            allow_origins=[each.lower() for each in self._settings.allow_origins],
            allow_credentials=True,  # there are none that a browser has; beacons are sent so still
            allow_methods=["GET", "POST"],
            allow_headers=["Authorization", "Content-Encoding", "Idempotency-Key"],
            allow_private_network=True,
            expose_headers=["Retry-After"],
        )

        async def serve(scope: Scope, receive: Receive, send: Send) -> None:
            app: ASGIApp = cors
            if (
                scope["type"] == "http"
                and scope["method"] == "POST"
                and "origin" not in scope["head"]
            ):
                # what an SDK posts, of which all of that would find nothing to do, in more time
                # than it takes to read the events
                app = own.get(scope["path"], cors)
            await app(scope, receive, send)

        return Access(serve, self._settings)

    async def _track(self, scope: Scope, receive: Receive) -> tuple[int, str]:
        caller, body = await self._asked(scope, receive)
        events = await self._read(self._event_of, body, caller)
        return await self._stored(scope, caller, body, events, '{"queued":true}')

    async def _batch(self, scope: Scope, receive: Receive) -> tuple[int, str]:
        caller, body = await self._asked(scope, receive)
        events = await self._read(self._events_of, body, caller)
        answer = f'{{"queued":{len(events.encoded)},"skipped":0}}'
        return await self._stored(scope, caller, body, events, answer)

    async def _session(self, scope: Scope, receive: Receive) -> tuple[int, str]:
        self._callers.check_public(scope["head"], is_local=scope["is_local"])
        body = await self._body(scope, receive, _BYTES_OF_A_SESSION)
        document, _ = read_document(body or b"{}")
        return 200, json.dumps(await self._sessions.open(document))

    async def _asked(self, scope: Scope, receive: Receive) -> tuple[Caller, bytes]:
        """Who asks, and what; one who may not is refused before anything is read."""
        is_local = scope["is_local"]
        caller = self._callers.who(scope["head"], scope["query_string"], is_local=is_local)
        return caller, await self._body(scope, receive)

    async def _body(self, scope: Scope, receive: Receive, most: int | None = None) -> bytes:
        settings = self._settings
        most = min(settings.max_body_bytes, most or settings.max_body_bytes)
        return await read_body(receive, scope["head"], most, settings.body_timeout)

    async def _read(
        self, read: Callable[[bytes, Caller], Encoded], body: bytes, caller: Caller
    ) -> Encoded:
        if len(body) > _BYTES_OF_A_THREAD:
            return await asyncio.to_thread(read, body, caller)
        return read(body, caller)

    def _event_of(self, body: bytes, caller: Caller) -> Encoded:
        document, write = read_document(body)
        return self._encoded([document], write, caller, is_batch=False)

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
        self, scope: Scope, caller: Caller, body: bytes, events: Encoded, answer: str
    ) -> tuple[int, str]:
        """Answer once the events are on the disk."""
        receipt = self._receipt(scope, caller, body, answer)
        try:
            await self._client.accept(events, caller.identity, receipt, is_alone=is_alone(scope))
        except RepeatedRequestError as repeated:
            if not repeated.is_same:
                raise detail(422, "The Idempotency-Key was used for another body.") from None
            answer = repeated.answer
        except SegOpsError as error:
            raise not_stored(error) from error
        return 202, answer

    def _receipt(self, scope: Scope, caller: Caller, body: bytes, answer: str) -> Receipt | None:
        key = scope["head"].get("idempotency-key")
        if key is None:
            return None
        if not 0 < len(key) <= _LONGEST_KEY:
            raise detail(400, f"An Idempotency-Key has 1 to {_LONGEST_KEY} letters.")
        whole = f"{scope['path']}\0{caller.name}\0{key}"
        known_by = sha256(whole.encode(errors="replace")).hexdigest()
        window = self._settings.replay_window
        return Receipt(known_by, sha256(body).hexdigest(), answer, window)


class _Endpoint:
    """An application that answers with JSON, and has what its handler refuses answered.

    Args:
        handler: What it does.
    """

    def __init__(self, handler: Handler) -> None:
        self._handler = handler

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        try:
            status, text = await self._handler(scope, receive)
        except RefusedError as refused:
            await refused.answer(scope, receive, send)
        except GoneError:
            await Response(status_code=499)(scope, receive, send)  # nobody is there to read it
        except asyncio.CancelledError:  # the relay ends, and has waited for long enough
            await not_stored(ClosedError("")).answer(scope, receive, send)
        else:
            body = text.encode()
            length = str(len(body)).encode()
            headers = [(b"content-type", b"application/json"), (b"content-length", length)]
            await send({"type": "http.response.start", "status": status, "headers": headers})
            await send({"type": "http.response.body", "body": body})


async def _missing(_request: Request, error: Exception) -> Response:
    status = getattr(error, "status_code", 404)
    return detail(status, str(getattr(error, "detail", error))).answer
