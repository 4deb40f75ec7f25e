"""A FastAPI application: ``uvicorn fastapi_app:app``."""

from __future__ import annotations

import os
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Annotated

from fastapi import Depends, FastAPI

from segops_durable.aio import AsyncSegOpsClient

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

segops = AsyncSegOpsClient.from_env()  # touches neither the disk nor a loop


@asynccontextmanager
async def lifespan(_: FastAPI) -> AsyncIterator[None]:
    """Open the outbox before the first request, and make a last effort after the last."""
    async with segops:
        yield


async def client() -> AsyncSegOpsClient:
    """What a route depends on; a test puts another in its place."""
    return segops


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
