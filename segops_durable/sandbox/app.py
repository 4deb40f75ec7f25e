"""The sandbox's HTTP interface: the ingestion API, its controls below ``/_sandbox/``, its page."""

from __future__ import annotations

import asyncio
import json
import socket
import struct
import threading
from dataclasses import asdict
from email.utils import formatdate
from typing import TYPE_CHECKING, Any

from starlette.applications import Starlette
from starlette.requests import ClientDisconnect
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route

from segops_durable.page import Page
from segops_durable.sandbox.checks import BadFieldError, read_fields
from segops_durable.sandbox.faults import Faults, FaultSwitch
from segops_durable.sandbox.sessions import DeniedError, authenticate, open_session
from segops_durable.sandbox.settings import PLANS, RateLimit, Settings
from segops_durable.sandbox.validation import check_event, read_batch, read_json, validated
from segops_durable.sandbox.view import SandboxView

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from starlette.requests import Request
    from starlette.types import Scope

    from segops_durable.sandbox.store import Store

TRACK_PATH = "/api/ingestion/track/"
BATCH_PATH = "/api/ingestion/track/batch/"
SESSION_PATH = "/api/auth/session/"
VALIDATE_PATH = "/api/schemas/validate/"
MAX_PAGE = 10_000

Connections = dict[tuple[str, int], asyncio.Transport]
_RESET = struct.pack("ii", 1, 0)  # linger for 0 seconds: close with a RST


class App:
    """The endpoints, and what they share.

    Args:
        store: Where requests and events are recorded.
        connections: The open connections by peer, so that one can be reset.
    """

    def __init__(self, store: Store, connections: Connections) -> None:
        self._store = store
        self._connections = connections
        self._limit = RateLimit()
        self.faults: FaultSwitch = FaultSwitch()
        self.settings: Settings = Settings()
        # set by each request of the API, before any delay
        self.arrived: threading.Event = threading.Event()

    def page(self) -> Page:
        """Make the page of what was received, for one event loop."""
        view = SandboxView(self._store, self.faults, lambda: self.settings)
        return Page(view, kind="sandbox", host=None, hang_up=self._abort)

    def routes(self, page: Page) -> Starlette:
        """Make the ASGI application.

        Args:
            page: What it has at ``/``.
        """
        api = [
            (TRACK_PATH, self._track),
            (BATCH_PATH, self._batch),
            (SESSION_PATH, self._session),
            (VALIDATE_PATH, self._validate),
        ]
        return Starlette(
            routes=[
                *(Route(path, self._served(handler), methods=["POST"]) for path, handler in api),
                Route("/_sandbox/faults", self._faults, methods=["GET", "POST", "DELETE"]),
                Route("/_sandbox/settings", self._settings, methods=["GET", "POST"]),
                Route("/_sandbox/events", self._events),
                Route("/_sandbox/requests", self._requests),
                Route("/_sandbox/summary", self._summary),
                Route("/_sandbox/reset", self._reset, methods=["POST"]),
                *page.routes(),
            ],
            exception_handlers={404: _missing, 405: _missing},
        )

    # The ingestion API

    def _served(
        self, handler: Callable[[Request, bytes], Response]
    ) -> Callable[[Request], Awaitable[Response]]:
        """Wrap a handler with the faults, the rate limit and the errors of the API."""

        async def serve(request: Request) -> Response:
            response = await answer(request)
            response.headers["Date"] = formatdate(self.settings.now(), usegmt=True)
            return response

        async def answer(request: Request) -> Response:
            faults = self.faults.strike()
            try:
                body = await request.body()
            except ClientDisconnect:
                return Response(status_code=499)  # nobody is there to read it
            self.arrived.set()  # whole: whoever sent it may be killed now
            await asyncio.sleep(faults.delay)
            if faults.reset == "before":
                self._record(request, body, "reset before")
                return await self._hang_up(request)
            broken = _broken_answer(faults, body) or self._busy()
            if broken is not None:
                self._record(request, body, str(broken.status_code))
                return broken
            response = self._guarded(handler, request, body)
            if faults.reset == "after":
                return await self._hang_up(request)
            return response

        return serve

    def _guarded(
        self, handler: Callable[[Request, bytes], Response], request: Request, body: bytes
    ) -> Response:
        try:
            return handler(request, body)
        except DeniedError as denied:
            response = _detail(denied.status, denied.detail)
        except BadFieldError as bad:
            is_general = bad.field == "detail"
            content = {bad.field: bad.problem if is_general else [bad.problem]}
            response = JSONResponse(content, 400)
        self._record(request, body, str(response.status_code))
        return response

    def _track(self, request: Request, body: bytes) -> Response:
        caller = authenticate(request.headers.get("Authorization", ""), self.settings)
        event = check_event(read_json(body), self.settings.required)
        self._record(request, body, "202", events=[(caller.uid or event["user_id"], event)])
        return JSONResponse({"queued": True}, 202)

    def _batch(self, request: Request, body: bytes) -> Response:
        caller = authenticate(request.headers.get("Authorization", ""), self.settings)
        found = read_batch(body)
        accepted = []
        for candidate in found:
            try:
                event = check_event(candidate, self.settings.required)
            except BadFieldError:  # the API skips it, and does not say which it was
                continue
            accepted.append((caller.uid or event["user_id"], event))
        skipped = len(found) - len(accepted)
        self._record(request, body, "202", events=accepted, skipped=skipped)
        return JSONResponse({"queued": len(accepted), "skipped": skipped}, 202)

    def _session(self, request: Request, body: bytes) -> Response:
        authorization = request.headers.get("Authorization", "")
        session = open_session(authorization, read_json(body or b"{}"), self.settings)
        self._record(request, body, "200")
        return JSONResponse(session)

    def _validate(self, request: Request, body: bytes) -> Response:
        caller = authenticate(request.headers.get("Authorization", ""), self.settings)
        if caller.uid is not None:
            raise DeniedError(403, "A session cannot ask for schemas.")
        errors = validated(read_json(body), self.settings.required)
        self._record(request, body, "200")
        return JSONResponse({"valid": not errors, "errors": errors})

    def _busy(self) -> Response | None:
        seconds = self._limit.seconds_to_wait(PLANS[self.settings.plan], self.settings.counting)
        if not seconds:
            return None
        return _detail(429, "Request was throttled.", {"Retry-After": str(seconds)})

    def _record(self, request: Request, body: bytes, answer: str, **rows: Any) -> None:  # noqa: ANN401 - passed on
        key = request.headers.get("Idempotency-Key")
        self._store.record(request.url.path, key, body, answer, **rows)

    async def _hang_up(self, request: Request) -> Response:
        """Reset the connection. The response returned is never sent: nobody is there."""
        self._abort(request.scope)
        while (await request.receive())["type"] != "http.disconnect":
            continue
        return Response(status_code=499)

    def _abort(self, scope: Scope) -> None:
        transport = self._connections.get(tuple(scope["client"]))
        if transport is not None:
            peer: socket.socket = transport.get_extra_info("socket")
            peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            transport.abort()

    # The controls

    async def _faults(self, request: Request) -> Response:
        if request.method == "DELETE":
            self.faults.clear()
        elif request.method == "POST":
            try:
                self.faults.set(read_fields(Faults, await _json(request)))
            except BadFieldError as bad:
                return JSONResponse({bad.field: [bad.problem]}, 400)
        return JSONResponse(asdict(self.faults.current))

    async def _settings(self, request: Request) -> Response:
        if request.method == "POST":
            try:
                self.settings = read_fields(Settings, await _json(request))
            except BadFieldError as bad:
                return JSONResponse({bad.field: [bad.problem]}, 400)
        return JSONResponse(asdict(self.settings))

    async def _events(self, request: Request) -> Response:
        return _page(request, self._store.events)

    async def _requests(self, request: Request) -> Response:
        return _page(request, self._store.requests)

    async def _summary(self, _request: Request) -> Response:
        return JSONResponse(self._store.summary())

    async def _reset(self, _request: Request) -> Response:
        self._store.clear()
        return JSONResponse({})


def _broken_answer(faults: Faults, body: bytes) -> Response | None:
    """What a broken server, or something in between, answers in place of the API."""
    if faults.portal:
        return HTMLResponse("<html><body>Welcome! Please accept our terms.</body></html>")
    if faults.redirect is not None:
        return Response(status_code=302, headers={"Location": faults.redirect})
    if faults.body_limit is not None and len(body) > faults.body_limit:
        return _detail(413, f"The body is larger than {faults.body_limit} bytes.")
    if faults.status is None:
        return None
    patience = faults.retry_after
    text = patience if isinstance(patience, str) else f"{patience or 0:g}"
    headers = {} if patience is None else {"Retry-After": text}
    if faults.json is not None:
        return JSONResponse(faults.json, faults.status, headers)
    return _detail(faults.status, "A fault of the sandbox.", headers)


def _detail(status: int, detail: str, headers: dict[str, str] | None = None) -> Response:
    return JSONResponse({"detail": detail}, status, headers)


async def _missing(_request: Request, error: Exception) -> Response:
    return _detail(getattr(error, "status_code", 404), str(getattr(error, "detail", error)))


async def _json(request: Request) -> object:
    try:
        document: object = json.loads(await request.body())
    except ValueError:
        raise BadFieldError("body", "must be JSON") from None
    return document


def _page(request: Request, read: Callable[[int, int], list[dict[str, Any]]]) -> Response:
    try:
        after = int(request.query_params.get("after", 0))
        limit = min(int(request.query_params.get("limit", 1000)), MAX_PAGE)
    except ValueError:
        return JSONResponse({"after": ["after and limit must be integers"]}, 400)
    return JSONResponse(read(after, limit))
