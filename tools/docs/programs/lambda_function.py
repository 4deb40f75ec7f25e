"""A function that is frozen between two calls, as on AWS Lambda."""

from __future__ import annotations

from typing import Any

from segops_durable import SegOpsClient

segops = SegOpsClient.from_env()  # SEGOPS_QUEUE_PATH=/tmp/outbox.db: nothing else can be written


def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Answer a call. No thread runs while the function is frozen, so it sends before it answers."""
    segops.track(user_id=event["user"], event_type="function_called", payload=event)
    return {"waiting": segops.flush(timeout=2).pending}
