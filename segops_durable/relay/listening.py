"""Where a relay listens: an address of this machine, or a socket that is a file."""

from __future__ import annotations

import os
import socket
import stat
from contextlib import suppress
from typing import TYPE_CHECKING

from segops_durable.errors import ConfigurationError

if TYPE_CHECKING:
    from pathlib import Path

    from segops_durable.relay.settings import RelaySettings

BACKLOG = 1024


class Listener:
    """A socket of the relay's own that listens.

    Args:
        settings: Say where.

    Attributes:
        socket: The socket.

    Raises:
        OSError: It cannot listen there, and says where that is.
        ConfigurationError: There are no such sockets here.
    """

    def __init__(self, settings: RelaySettings) -> None:
        self._path = settings.socket
        self._file: tuple[int, int] | None = None
        try:
            if self._path is None:
                self.socket: socket.socket = _of_address(settings)
            else:
                self.socket = _of_file(self._path)
                self._file = _identity(self._path)
        except (OSError, UnicodeError) as error:
            where = self._path or settings.listen
            problem = getattr(error, "strerror", None) or str(error)  # of a path that is too long
            text = f"cannot listen on {where}: {problem}"
            number = getattr(error, "errno", None)
            raise (OSError(text) if number is None else OSError(number, text)) from None

    def leave(self) -> None:
        """Remove the file, before the socket is closed: as long as it is there it is ours.

        Once it is closed another relay may have put its own there.
        """
        path, known, self._path = self._path, self._file, None
        if path is not None and known is not None:
            with suppress(OSError):
                if _identity(path) == known:
                    path.unlink()


def url_of(listener: socket.socket) -> str:
    """Where a socket listens, for people to see."""
    name = listener.getsockname()
    if isinstance(name, str | bytes):
        return f"unix:{os.fsdecode(name)}"
    host = f"[{name[0]}]" if ":" in name[0] else name[0]
    return f"http://{host}:{name[1]}"


def _of_address(settings: RelaySettings) -> socket.socket:
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    # asyncio sets TCP_NODELAY only where the protocol is named; without it an answer in
    # two writes waits 40 ms for an acknowledgement
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((settings.host, settings.port))
        listener.listen(BACKLOG)
    except BaseException:
        listener.close()
        raise
    return listener


def _of_file(path: Path) -> socket.socket:
    """Listen on a Unix socket that only its owner may use; a dead one is replaced."""
    if not hasattr(socket, "AF_UNIX"):
        raise ConfigurationError("socket needs Unix sockets, which are not here", field="socket")
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        _remove_dead(path)
        mask = os.umask(0o177)
        try:
            listener.bind(str(path))
        finally:
            os.umask(mask)
        listener.listen(BACKLOG)
    except BaseException:
        listener.close()
        raise
    return listener


def _remove_dead(path: Path) -> None:
    """Remove a socket that nobody listens on any more, and nothing else."""
    try:
        is_socket = stat.S_ISSOCK(path.lstat().st_mode)
    except FileNotFoundError:
        return
    if not is_socket:
        return  # to bind there fails, and says so
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.setblocking(False)  # noqa: FBT003 - the standard library's
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            path.unlink()
        except BlockingIOError:  # somebody listens, and has more to do than they can
            return


def _identity(path: Path) -> tuple[int, int]:
    found = path.lstat()
    return found.st_dev, found.st_ino
