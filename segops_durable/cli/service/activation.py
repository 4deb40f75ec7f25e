"""Sockets that a service manager listens on, and hands to the service: sd_listen_fds(3)."""

from __future__ import annotations

import os
import socket
from typing import TYPE_CHECKING

from segops_durable.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import MutableMapping

_FIRST = 3
_MOST = 64


def activated(environ: MutableMapping[str, str] | None = None) -> list[socket.socket]:
    """Take the sockets that were handed to this process; none, if there are none.

    Args:
        environ: Says how many, and loses that: they are for no child. Defaults to the process's
            own environment.

    Raises:
        ConfigurationError: One is none that connections come from.
    """
    environ = os.environ if environ is None else environ
    count, pid = environ.pop("LISTEN_FDS", ""), environ.pop("LISTEN_PID", "")
    environ.pop("LISTEN_FDNAMES", None)
    if pid != str(os.getpid()) or not count.isdecimal():
        return []
    return [_listener(number) for number in range(_FIRST, _FIRST + min(int(count), _MOST))]


def _listener(number: int) -> socket.socket:
    try:
        os.set_inheritable(number, False)  # noqa: FBT003 - the standard library's
        found = socket.socket(fileno=number)
        is_one = found.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN) == 1
    except OSError as error:
        raise _refused(number, str(error)) from None
    if not is_one or found.type != socket.SOCK_STREAM:
        found.detach()
        raise _refused(number, "it listens for no connections")
    return found


def _refused(number: int, problem: str) -> ConfigurationError:
    hint = "The unit is to have ListenStream=, and Accept=no"
    text = f"the socket that was handed over as descriptor {number} is of no use: {problem}"
    return ConfigurationError(text, field="socket", hint=hint)
