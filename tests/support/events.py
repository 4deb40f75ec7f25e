"""Events that can be told apart by number."""

from __future__ import annotations

from typing import TYPE_CHECKING

from segops_durable import Event

if TYPE_CHECKING:
    from segops_durable import SegOpsClient
    from segops_durable.sandbox import Sandbox


def numbered(count: int, first: int = 0) -> list[Event]:
    return [Event("u-1", "page_viewed", payload={"n": n}) for n in range(first, first + count)]


def track(client: SegOpsClient, count: int, first: int = 0) -> None:
    """Track some events at once, so that the flusher finds all of them or none."""
    client.track_many(numbered(count, first))


def become_the_sender(client: SegOpsClient) -> None:
    """Have a client send an event, number -1; a flush ends at once where nothing waits."""
    track(client, 1, first=-1)
    assert client.flush(timeout=60).ok


def leave(client: SegOpsClient) -> None:
    """End a client without an effort to send; its thread, its place and its hold on the file go."""
    assert client._delivery.current.flusher.stop(30), "the thread that sends has not ended"
    client.shutdown(0)  # nobody is within the gate any more, for whom it would leave the file open


def numbers(sandbox: Sandbox) -> list[int]:
    """What the sandbox accepted, in order."""
    return [row["event"]["payload"]["n"] for row in sandbox.events()]
