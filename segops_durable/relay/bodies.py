"""Bodies of requests: bounded in size and time, and unpacked where they were packed."""

from __future__ import annotations

import asyncio
import zlib
from typing import TYPE_CHECKING

from segops_durable.relay.answers import detail

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.types import Receive

_GZIP = 16 + zlib.MAX_WBITS
_PLAIN = {"", "identity"}
_DIGITS = 15
_PATIENCE = 4
"""How many times as much is read, and thrown away: who is still sending hears no answer."""


class GoneError(Exception):
    """Whoever made a request has gone before it was whole."""


async def read_body(receive: Receive, head: Mapping[str, str], most: int, seconds: float) -> bytes:
    """Read a body.

    Args:
        receive: Gives its parts.
        head: What goes before it, by name.
        most: Bytes that it may have, packed and unpacked.
        seconds: How long it may take.

    Raises:
        RefusedError: It is too large, too slow, or packed in another way than by gzip.
        GoneError: It is cut off.
    """
    declared = head.get("content-length", "0")
    # whoever waits for our leave has sent nothing yet, and hears the answer in any case
    bound = most if "expect" in head else most * _PATIENCE
    if not declared.isdecimal() or len(declared) > _DIGITS or int(declared) > bound:
        raise _too_large(most)
    body = await _in_time(receive, most, seconds)
    encoding = head.get("content-encoding", "").strip().lower()
    if encoding in _PLAIN:
        return body
    if encoding not in {"gzip", "x-gzip"}:
        raise detail(415, "The body has to be plain JSON, or packed by gzip.")
    return _unpacked(body, most)


async def _in_time(receive: Receive, most: int, seconds: float) -> bytes:
    """Read it, or give up; `asyncio.wait_for` would make a task of it, and take as long again."""
    task = asyncio.current_task()
    assert task is not None  # noqa: S101 - a request is served by one
    is_over: list[bool] = []

    def give_up() -> None:
        is_over.append(True)
        task.cancel()

    timer = asyncio.get_running_loop().call_later(seconds, give_up)
    try:
        return await _parts(receive, most)
    except asyncio.CancelledError:
        if not is_over:
            raise
        raise detail(408, "The request took too long.", {"Connection": "close"}) from None
    finally:
        timer.cancel()


async def _parts(receive: Receive, most: int) -> bytes:
    parts: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise GoneError
        part: bytes = message.get("body", b"")
        size += len(part)
        if size > most:  # what is beyond it is not kept
            parts = []
            if size > most * _PATIENCE:
                raise _too_large(most)
        else:
            parts.append(part)
        if not message.get("more_body"):
            break
    if size > most:
        raise _too_large(most)
    return parts[0] if len(parts) == 1 else b"".join(parts)


def _unpacked(body: bytes, most: int) -> bytes:
    """Unpack no more than a body may have: a few bytes may stand for a gigabyte."""
    unpacker = zlib.decompressobj(_GZIP)
    try:
        found = unpacker.decompress(body, most + 1)
    except zlib.error:
        raise detail(400, "The body is no gzip.") from None
    if len(found) > most:
        raise _too_large(most)
    if not unpacker.eof or unpacker.unused_data:
        raise detail(400, "The body is no gzip that is whole.")
    return found


def _too_large(most: int) -> Exception:
    return detail(413, f"The body is larger than {most} bytes.", {"Connection": "close"})
