"""A FastAPI application: ``uvicorn fastapi_app:app``."""

from __future__ import annotations

import os
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Annotated

from fastapi import Depends, FastAPI, Request

from segops_durable.aio import AsyncSegOpsClient

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


@asynccontextmanager
async def lifespan(_: FastAPI) -> AsyncIterator[dict[str, AsyncSegOpsClient]]:
    """Open the outbox before the first request, and make a last effort after the last."""
    # a client each time: a test may start and end the application more than once
    async with AsyncSegOpsClient.from_env() as segops:
        yield {"segops": segops}


async def client(request: Request) -> AsyncSegOpsClient:
    """What a route depends on; a test puts another in its place."""
    found: AsyncSegOpsClient = request.state.segops
    return found


app = FastAPI(lifespan=lifespan)


@app.post("/buy/{article}")
async def buy(
    article: str, events: Annotated[AsyncSegOpsClient, Depends(client)]
) -> dict[str, str]:
    """Sell an article; the event is on disk when the customer has the answer."""
    payload = {"article": article}
    await events.track(user_id="user-123", event_type="order_placed", payload=payload)
    return {"bought": article}


@app.get("/worker")
async def worker() -> dict[str, int]:
    """Say which process answers."""
    return {"pid": os.getpid()}
