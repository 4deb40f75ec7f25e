"""The service manager, told how a service is: systemd's protocol, sd_notify(3).

Lines in a datagram to the socket that ``NOTIFY_SOCKET`` names. The libraries for it on PyPI have
seen no release for years, and know nothing of reloads.
"""

from __future__ import annotations

import os
import socket
import time
from contextlib import suppress
from typing import TYPE_CHECKING

from segops_durable.errors.plain_text import visible

if TYPE_CHECKING:
    from collections.abc import MutableMapping

_SECONDS = 5.0
_MICROSECONDS = 1_000_000
READY = "READY=1"


class Manager:
    """Whoever has started this process, if it wants to be told anything.

    Args:
        environ: Says where it is told, and loses that: it is for no child. Defaults to the
            process's own environment.

    Attributes:
        patience: Seconds after which it ends a process that it hears nothing of; None if never.
    """

    def __init__(self, environ: MutableMapping[str, str] | None = None) -> None:
        environ = os.environ if environ is None else environ
        self._address = _address_of(environ.pop("NOTIFY_SOCKET", ""))
        microseconds = environ.pop("WATCHDOG_USEC", "")
        is_for_us = environ.pop("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
        is_watched = is_for_us and microseconds.isdecimal() and int(microseconds) > 0
        self.patience: float | None = int(microseconds) / _MICROSECONDS if is_watched else None

    def ready(self, status: str) -> None:
        """Say that it serves, or does so again after a reload."""
        self.tell(READY, f"STATUS={visible(status)}")

    def reloading(self) -> None:
        """Say that settings are read again; `ready` follows, however that ends."""
        # by the clock that systemd compares with, which is not always Python's monotonic one
        clock = getattr(time, "CLOCK_MONOTONIC", None)
        now = time.monotonic_ns() if clock is None else time.clock_gettime_ns(clock)
        self.tell("RELOADING=1", f"MONOTONIC_USEC={now // 1000}")

    def stopping(self) -> None:
        """Say that it comes to its end."""
        self.tell("STOPPING=1")

    def alive(self) -> None:
        """Say that it gets on."""
        self.tell("WATCHDOG=1")

    def status(self, text: str) -> None:
        """Say how it stands."""
        self.tell(f"STATUS={visible(text)}")

    def tell(self, *lines: str) -> None:
        """Tell it lines at once; what it cannot be told it is not."""
        if self._address is None:
            return
        with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as teller:
            teller.settimeout(_SECONDS)
            teller.sendto("\n".join(lines).encode(errors="replace"), self._address)


def _address_of(name: str) -> str | None:
    """The address of a socket: a file's, or an abstract one, which begins with an @."""
    if not hasattr(socket, "AF_UNIX") or name[:1] not in {"/", "@"}:
        return None
    return "\0" + name[1:] if name.startswith("@") else name
