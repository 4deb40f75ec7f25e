"""A bare starlette application, run as a program: it keeps nothing, or as little as can be.

    bare.py PORT nothing | sync | commit DIRECTORY

``sync`` writes the body that it got over the one before, and has the disk keep that, before it
answers; ``commit`` has SQLite commit the events. What a server does less before it says 202 can be
lost by a power cut, so no server that keeps its word one request after the other is faster.
"""

from __future__ import annotations

import json
import os
import sqlite3
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import uvicorn
from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Route

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.requests import Request

    Keep = Callable[[bytes, list[Any]], object]


def _nothing(_home: Path) -> Keep:
    return lambda _body, _events: None


def _sync(home: Path) -> Keep:
    fd = os.open(home / "bare.bin", os.O_CREAT | os.O_WRONLY, 0o600)

    def keep(body: bytes, _events: list[Any]) -> None:
        os.pwrite(fd, body, 0)  # the file does not grow, of which the disk would have to know
        os.fdatasync(fd)

    return keep


def _commit(home: Path) -> Keep:
    connection = sqlite3.connect(home / "bare.db", isolation_level=None)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")
    connection.execute("CREATE TABLE IF NOT EXISTS events (id INTEGER PRIMARY KEY, data TEXT)")

    def keep(_body: bytes, events: list[Any]) -> None:
        rows = ", ".join(["(?)"] * len(events))
        texts = [json.dumps(each) for each in events]
        connection.execute(f"INSERT INTO events (data) VALUES {rows}", texts)  # noqa: S608 - marks

    return keep


def main(port: str, what: str, home: str) -> None:
    """Serve until killed."""
    keep = {"nothing": _nothing, "sync": _sync, "commit": _commit}[what](Path(home))

    async def batch(request: Request) -> JSONResponse:
        events = (await request.json())["events"]
        keep(await request.body(), events)
        return JSONResponse({"queued": len(events), "skipped": 0}, 202)

    app = Starlette(routes=[Route("/api/ingestion/track/batch/", batch, methods=["POST"])])
    uvicorn.run(app, port=int(port), http="h11", loop="asyncio", log_config=None, access_log=False)


if __name__ == "__main__":
    main(*sys.argv[1:])
