"""The routes of a page: its files, its stream, and what its buttons ask for."""

from __future__ import annotations

import asyncio
import hmac
from functools import partial
from importlib.resources import files
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import quote

from starlette.middleware import Middleware
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from segops_durable.errors import SegOpsError
from segops_durable.page.feed import CrowdedError, Feed, Viewer
from segops_durable.page.local_only import LocalOnly
from segops_durable.page.requests import BadRequestError, chosen_ids, is_of_this_page, whole_number
from segops_durable.page.stream import Stream

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from starlette.requests import Request
    from starlette.types import Scope

    from segops_durable.page.glance import Letters, View

SHORTEST_TOKEN = 16
_OLDER = 25
_MEDIA = {
    "css": "text/css; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "html": "text/html; charset=utf-8",
    "svg": "image/svg+xml",
}
_HEADERS = {
    # no script but the files that are served here, and no text that becomes one
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; "
    "img-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}


class Page:
    """What is served at ``/``, and below ``/page/``.

    Args:
        view: Says how things stand.
        kind: Which page it is: ``outbox`` or ``sandbox``.
        host: The address or the name that the server listens on: requests that name another one
            are refused. None where the server sees to that itself.
        token: What a request has in its ``Authorization`` (``Bearer …``) to be shown events, or to
            change anything. None for a page that anybody may see whole, and that changes nothing.
        letters: Looks after dead letters. Defaults to None: the page has none.
        hang_up: Called with a request's scope, to reset a connection that takes nothing. Defaults
            to closing it, for which what was sent has to be taken first.
        on_end: Called as the server ends. Defaults to nothing.

    Raises:
        ValueError: The token is so short that it could be guessed, or no header can have it; or
            there is none, and letters.
    """

    def __init__(
        self,
        view: View,
        *,
        kind: Literal["outbox", "sandbox"],
        host: str | None,
        token: str | None = None,
        letters: Letters | None = None,
        hang_up: Callable[[Scope], object] = lambda _scope: None,
        on_end: Callable[[], object] = lambda: None,
    ) -> None:
        if letters is not None and token is None:
            raise ValueError("token must be given where there are letters, got None")
        if token is not None and len(token) < SHORTEST_TOKEN:
            raise ValueError(
                f"token must have {SHORTEST_TOKEN} letters or more, got {len(token)} of them"
            )
        if token is not None and not (token.isascii() and token.isprintable()):
            raise ValueError("token must be of letters that a header can have")
        self._token = token
        self._letters = letters
        self._hang_up = hang_up
        self._on_end = on_end
        self._feed = Feed(view)
        self._middleware = [] if host is None else [Middleware(LocalOnly, host, "page")]
        self._files = _files()
        self._files[""] = self._files[f"{kind}.html"]

    def routes(self) -> list[Route]:
        """The routes, for a Starlette application; one whose ``/`` is free, and ``/page/``."""
        found = [
            self._route("/", partial(self._file, name="")),
            self._route("/page/stream", self._stream),
        ]
        if self._letters is not None:
            found += [
                self._route("/page/letters", self._older),
                self._route("/page/letters/retry", self._retry, "POST"),
                self._route("/page/letters/discard", self._discard, "POST"),
            ]
        names = [name for name in self._files if name and not name.endswith(".html")]
        return found + [
            self._route(f"/page/{name}", partial(self._file, name=name)) for name in names
        ]

    def address(self, url: str) -> str:
        """Where the page is, with its token: behind a #, which no browser sends to anybody."""
        return f"{url}/" if self._token is None else f"{url}/#token={quote(self._token, safe='')}"

    def end(self) -> None:
        """End all streams, since the server ends; for the thread of its event loop."""
        self._feed.end()
        self._on_end()

    def _route(
        self, path: str, answer: Callable[[Request], Awaitable[Response]], method: str = "GET"
    ) -> Route:
        async def guarded(request: Request) -> Response:
            try:
                response = await answer(request)
            except BadRequestError as bad:
                response = JSONResponse({"detail": bad.detail}, bad.status)
            except SegOpsError as error:
                response = JSONResponse({"detail": str(error)}, 503)
            if isinstance(response, Response):  # and no stream, which has them
                response.headers.update(_HEADERS)
            return response

        return Route(path, guarded, methods=[method], middleware=self._middleware)

    async def _file(self, _request: Request, name: str) -> Response:
        data, media = self._files[name]
        return Response(data, media_type=media)

    async def _stream(self, request: Request) -> Any:  # noqa: ANN401 - any ASGI application will do
        is_trusted = self._token is None or "authorization" in request.headers
        self._check(request, needs_token=is_trusted)  # and a page elsewhere takes nobody's place
        if request.method == "HEAD":  # nobody takes anything, and would not be noticed to leave
            return Response(media_type="text/event-stream")
        viewer = Viewer(is_trusted=is_trusted)
        try:
            self._feed.join(viewer)
        except CrowdedError:
            raise BadRequestError(503, "As many look already as may.") from None
        return Stream(self._feed, viewer, _HEADERS, self._hang_up)

    # Dead letters

    async def _older(self, request: Request) -> Response:
        letters = self._checked(request)
        before = whole_number(request.query_params.get("before", ""))
        found = await asyncio.to_thread(letters.older, before, _OLDER)
        return JSONResponse([vars(each) for each in found])

    async def _retry(self, request: Request) -> Response:
        letters = self._checked(request)
        ids = await chosen_ids(request)
        return JSONResponse({"count": await asyncio.to_thread(letters.retry, ids)})

    async def _discard(self, request: Request) -> Response:
        letters = self._checked(request)
        ids = await chosen_ids(request)
        if ids is None:
            raise BadRequestError(400, "ids must be a list of numbers.")
        return JSONResponse({"count": await asyncio.to_thread(letters.discard, ids)})

    def _checked(self, request: Request) -> Letters:
        self._check(request)
        if self._letters is None:
            raise BadRequestError(404, "There are no letters here.")
        return self._letters

    def _check(self, request: Request, *, needs_token: bool = True) -> None:
        """Refuse a request of another page, or one without the token that it needs."""
        if not is_of_this_page(request):
            raise BadRequestError(403, "Pages of other sites may not use this one.")
        if self._token is None or not needs_token:
            return
        scheme, _, given = request.headers.get("authorization", "").partition(" ")
        is_right = hmac.compare_digest(given.encode(), self._token.encode())
        if scheme.lower() != "bearer" or not is_right:
            raise BadRequestError(401, "The token is missing or wrong.")


def _files() -> dict[str, tuple[bytes, str]]:
    """The files of the pages with their media types, by name; small enough to be kept."""
    found = {}
    for each in files("segops_durable.page").joinpath("assets").iterdir():
        ending = each.name.rpartition(".")[2]
        if ending in _MEDIA:
            found[each.name] = (each.read_bytes(), _MEDIA[ending])
    return found
