"""What a relay tells of itself over HTTP, beside SegOps' own paths: its health, and its numbers."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from segops_durable.cli.prometheus import exposition
from segops_durable.cli.service.health import health_of
from segops_durable.cli.standing import how_it_stands
from segops_durable.client import outbox_of
from segops_durable.errors import SegOpsError

if TYPE_CHECKING:
    from starlette.requests import Request

    from segops_durable.relay import Relay

HEALTH_PATH, METRICS_PATH = "/health", "/metrics"
_PROMETHEUS = "text/plain; version=0.0.4; charset=utf-8"


def pages_of(relay: Relay) -> list[Route]:
    """The pages."""

    async def health(_request: Request) -> Response:
        client = relay.client
        found = await asyncio.to_thread(health_of, client.inner, client.trouble)
        return JSONResponse(found.document, 200 if found.problem is None else 503)

    async def metrics(_request: Request) -> Response:
        outbox = outbox_of(relay.client.inner)
        try:
            found = await asyncio.to_thread(how_it_stands, outbox)
        except SegOpsError as error:
            return JSONResponse({"detail": str(error)}, 503)
        return Response(exposition(found), media_type=_PROMETHEUS)

    return [Route(HEALTH_PATH, health), Route(METRICS_PATH, metrics)]
