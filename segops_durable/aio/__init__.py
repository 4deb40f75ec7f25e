"""The client for programs with an event loop: asyncio (uvloop as well) or trio.

    from segops_durable.aio import AsyncSegOpsClient

    async with AsyncSegOpsClient("https://api.segops.ai", "sk_...") as client:
        await client.track(user_id="u-123", event_type="order_placed", payload={"total": 42})

The same outbox and the same sending thread as `SegOpsClient` has: one of those is within, `inner`.
A loop waits for neither a disk nor the network:

- `client`: how it begins, flushes, says how it stands, and ends. Its other calls are in `tracking`
  and `administration`, and what all have in common is in `opened`.
- `writer`: the one thread that stores. `outgoing` hands it what the tasks of a loop have tracked,
  all that are ready at once, in `calls`. `own_thread` is for what takes its time: a flush, an
  import.
- `loops`: what is asked of an event loop; `asyncio_loop` and `trio_loop` are the two kinds.
"""

from __future__ import annotations

from segops_durable.aio.client import AsyncSegOpsClient
from segops_durable.aio.inner import InnerClient
from segops_durable.aio.writer import closed_error

__all__ = ["AsyncSegOpsClient", "InnerClient", "closed_error"]
