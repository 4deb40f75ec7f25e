"""Knocks: one process wakes another, which waits for it on a thread and asks nobody meanwhile.

They are datagrams on a socket that is no file: on Linux it has an abstract name, elsewhere a port
of the loopback. A file would lie beside what it is for, in the way of whoever copies that (`cp`
waits for ever on a pipe), and would stay after a kill. So whoever is to be found tells its address
in a place that only those who may knock can read; with it goes a word, without which nobody is
heard. Whoever is in a container of its own is not found.

A knock is a hint: it may be lost, and comes to nobody who is stopped. Whoever hears one says so.
"""

from __future__ import annotations

import hmac
import secrets
import socket
import sys
from contextlib import suppress
from typing import Any

from segops_durable.system.descriptors import file_of, raised

_DIGITS = 32
_HEARD = b"heard"
_END = b""
_LONGEST = 1 << 16
"""What is longer than there is room for is an error on Windows: a stranger would end an ear so."""

_LOOPBACK = "127.0.0.1"
_AT_ONCE = getattr(socket, "MSG_DONTWAIT", 0)  # Windows has none: there a datagram never waits


class _Bound:
    """A socket, as long as the descriptor is what we opened."""

    def __init__(self, made: socket.socket) -> None:
        self._socket = socket.socket(fileno=raised(made.detach()))
        self._file = file_of(self._socket.fileno())

    @property
    def _is_ours(self) -> bool:
        return self._file is not None and file_of(self._socket.fileno()) == self._file

    def close(self) -> None:
        """Close it, unless the program has, and the number is another's. Safe to call twice."""
        if self._is_ours:
            self._socket.close()
        else:
            self._socket.detach()


class Ear(_Bound):
    """Where one process is found by others.

    Attributes:
        address: What others have to know.

    Raises:
        OSError: There is no socket to be had.
    """

    def __init__(self) -> None:
        word = secrets.token_hex(_DIGITS // 2)
        if sys.platform == "linux":
            name = secrets.token_hex(_DIGITS // 2)
            made = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
            self._at: Any = _abstract(name)
            made.bind(self._at)
            self.address: str = f"unix:{name}:{word}"
        else:
            made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            made.bind((_LOOPBACK, 0))
            self._at = made.getsockname()
            self.address = f"udp:{self._at[1]}:{word}"
        self._word = word.encode()
        self._is_over = False
        super().__init__(made)

    @property
    def is_open(self) -> bool:
        """Whether knocks can still be heard."""
        return not self._is_over and self._is_ours

    def hear(self) -> str | None:
        """Wait for a knock, and return what it says; None when it has ended."""
        while self.is_open:
            try:
                data, whence = self._socket.recvfrom(_LONGEST)
            except ConnectionError:  # Windows: an answer of ours has found nobody
                continue
            except OSError:  # closed: by us, or by the program
                break
            if not self._is_ours:  # the answer would go out by what has the number now
                break
            word, said = data[:_DIGITS], data[_DIGITS:]
            if hmac.compare_digest(word, self._word) and said != _END:
                with suppress(OSError, TypeError):  # whoever knocked may be gone, or have no name
                    self._socket.sendto(self._word + _HEARD, _AT_ONCE, whence)
                return said.decode("ascii", errors="replace")
        return None

    def end(self) -> None:
        """Have `hear` come to its end, on whatever thread it waits."""
        self._is_over = True
        with suppress(OSError):  # where no more knocks fit in, it is not waiting
            if self._is_ours:
                self._socket.sendto(self._word + _END, _AT_ONCE, self._at)


class Knock(_Bound):
    """Knocks at one address, and hears whether it was heard.

    Args:
        address: As an `Ear` has told it.

    Attributes:
        unsaid: What did not fit in, where others have knocked before and were not heard.

    Raises:
        ValueError: It is none.
        OSError: There is no socket to be had.
    """

    def __init__(self, address: str) -> None:
        kind, name, word = address.split(":")
        if len(name) > _DIGITS or len(word) != _DIGITS or not address.isascii():
            raise ValueError(address)
        if kind == "unix" and sys.platform == "linux":
            self._to: Any = _abstract(name)
            made = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
            here: Any = ""  # the system gives it a name, to be answered at
        elif kind == "udp":
            self._to = (_LOOPBACK, int(name))
            made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            here = (_LOOPBACK, 0)
        else:
            raise ValueError(address)
        made.bind(here)
        made.setblocking(False)  # noqa: FBT003 - the standard library's
        self._word = word.encode()
        self.unsaid: set[str] = set()
        super().__init__(made)

    def send(self, said: str) -> bool:
        """Knock; say whether anybody is there, who may be deaf."""
        if not self._is_ours:
            return False
        try:
            self._socket.sendto(self._word + said.encode(), self._to)
        except BlockingIOError:
            self.unsaid.add(said)
            return True
        except (OSError, OverflowError):
            return False
        self.unsaid.discard(said)
        return True

    @property
    def is_there(self) -> bool:
        """Whether somebody is known to be there, who may be deaf: without a knock."""
        if not self._is_ours or self._socket.family != getattr(socket, "AF_UNIX", None):
            return False  # a port tells nothing
        with suppress(OSError):
            self._socket.connect(self._to)
            return True
        return False

    def is_heard(self) -> bool:
        """Whether one of the knocks was heard."""
        while self._is_ours:
            try:
                data = self._socket.recv(_LONGEST)
            except OSError:
                return False
            if hmac.compare_digest(data, self._word + _HEARD):
                return True
        return False


def _abstract(name: str) -> str:
    return f"\0segops-{name}"
