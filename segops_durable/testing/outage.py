"""SegOps out of reach, for as long as a test wants."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from segops_durable.sandbox import Sandbox


class Outage:
    """Takes a sandbox away, and brings it back: its address refuses connections meanwhile.

    What it has accepted stays. All calls are safe twice.

    Args:
        sandbox: What is taken away.
    """

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox
        self._placeholder: socket.socket | None = None

    @property
    def is_on(self) -> bool:
        """Whether the sandbox is away."""
        return self._placeholder is not None

    def begin(self) -> None:
        """Take the sandbox away: open connections end, new ones are refused."""
        if self._placeholder is not None:
            return
        address = urlsplit(self._sandbox.url)
        self._sandbox.stop()
        # nobody else gets the port meanwhile: another worker's sandbox would be sent our events
        placeholder = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        try:
            placeholder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            placeholder.bind((address.hostname or "", address.port or 0))
        except BaseException:
            placeholder.close()
            raise
        self._placeholder = placeholder

    def end(self) -> None:
        """Bring it back, at the same address."""
        if self._placeholder is not None:
            self.close()
            self._sandbox.start()

    def close(self) -> None:
        """Let go of the address, and leave the sandbox as it is: for the end of a test."""
        if self._placeholder is not None:
            self._placeholder.close()
            self._placeholder = None
