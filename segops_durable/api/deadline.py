"""One deadline for all of a request: connecting, sending, the headers, the body.

The timeout of `requests` is for each read from the socket anew, so a peer that sends a byte
a second is waited for as long as it likes. Here every wait is cut to what is left in all.
Only the resolver's is not: a name is looked up by the system, which has its own timeouts.
"""

from __future__ import annotations

import io
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable

    from typing_extensions import Buffer

_LEAST_SECONDS = 0.001
"""A socket's timeout of 0 would mean: do not wait, and fail in another way."""


class Deadline:
    """When the request under way has to be over."""

    def __init__(self) -> None:
        self._end = 0.0

    def start(self, seconds: float) -> None:
        """Begin a request that may take so long."""
        self._end = time.monotonic() + seconds

    def run_aside(self, action: Callable[[], object]) -> None:
        """Run what has nothing to do with the request, and is not counted."""
        began = time.monotonic()
        action()
        self._end += time.monotonic() - began

    @property
    def is_over(self) -> bool:
        """Whether the time is up."""
        return time.monotonic() >= self._end

    @property
    def remaining(self) -> float:
        """Seconds left, as a socket's timeout: never 0."""
        return max(_LEAST_SECONDS, self._end - time.monotonic())

    def check(self) -> None:
        """Raise once the time is up.

        Raises:
            TimeoutError: It is.
        """
        if self.is_over:
            raise TimeoutError("the request took longer than the timeout in all")


class Reader(io.RawIOBase):
    """Reads from a socket, each time with no more than what is left of the deadline.

    Args:
        sock: The socket.
        deadline: When all has to be over.
        came: What was received from it before, and is read first. Defaults to nothing.

    Attributes:
        may_hold: Whether the socket may hold what does not show in a poll of it, as TLS does.
        is_glance: Whether to take only what it holds so, as it is set not to wait.
    """

    def __init__(self, sock: socket.socket, deadline: Deadline, came: bytes = b"") -> None:
        self._socket = sock
        self._came = came
        self._raw = sock.makefile("rb", buffering=0)  # keeps the socket open until it is closed
        self._deadline = deadline
        self.is_glance = False
        self.may_hold: bool = hasattr(sock, "pending")

    def readable(self) -> bool:
        """Say that it can be read."""
        return True

    def fileno(self) -> int:
        """The descriptor."""
        return self._raw.fileno()

    def readinto(self, buffer: Buffer, /) -> int | None:
        """Read what comes, while there is time."""
        if self._came:
            room = memoryview(buffer).cast("B")
            count = min(len(self._came), len(room))
            room[:count], self._came = self._came[:count], self._came[count:]
            return count
        if self.is_glance and not self.may_hold:
            return None
        if not self.is_glance:
            self._deadline.check()
            self._socket.settimeout(self._deadline.remaining)
        return self._raw.readinto(buffer)

    def close(self) -> None:
        """Let go of the socket."""
        self._raw.close()
        super().close()
