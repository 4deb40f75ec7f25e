"""Connects to whichever address of a host answers first (RFC 8305, "Happy Eyeballs").

A host may have an address that swallows all packets, as IPv6 does at many sites. If each
address in turn were given the whole timeout, that one would eat it. So the next is tried a
quarter of a second later, beside it, and the first that connects is taken.
"""

from __future__ import annotations

import errno
import os
import selectors
import socket
import time
from collections import deque
from itertools import zip_longest
from typing import TYPE_CHECKING, Any

from segops_durable.system.descriptors import raised

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    Address = tuple[Any, ...]  # as `socket.getaddrinfo` gives it

HEAD_START = 0.25
"""Seconds that an address has before the next one is tried (RFC 8305, section 5)."""

_UNDER_WAY = {errno.EINPROGRESS, errno.EWOULDBLOCK, errno.EALREADY}
_UNTIL_WINDOWS_KNOWS = getattr(errno, "WSAEWOULDBLOCK", errno.EWOULDBLOCK)


class Dialler:
    """Opens connections; an address that connected and then gave no answer comes last."""

    def __init__(self) -> None:
        self._silent: set[object] = set()
        self._last: object = None

    def connect(
        self,
        addresses: Sequence[Address],
        timeout: float,
        prepare: Callable[[socket.socket], object] = lambda _socket: None,
    ) -> socket.socket:
        """Connect to the first address that answers.

        Args:
            addresses: Where to, as `socket.getaddrinfo` gives them.
            timeout: Seconds for all of it.
            prepare: Called with each socket before it connects.

        Raises:
            TimeoutError: None answered in time.
            OSError: Why the last one failed, when all did.
        """
        ordered = sorted(_alternating(addresses), key=lambda each: each[4] in self._silent)
        found, self._last = _Race(ordered, prepare).run(timeout)
        return found

    def blame(self) -> None:
        """Note that the newest connection gave no answer: try the other addresses first."""
        self._silent.add(self._last)

    def praise(self) -> None:
        """Note that the newest connection gave an answer."""
        self._silent.discard(self._last)


class _Race:
    """Attempts to connect, side by side."""

    def __init__(
        self, addresses: Iterable[Address], prepare: Callable[[socket.socket], object]
    ) -> None:
        self._waiting = deque(addresses)
        self._prepare = prepare
        self._next_start = 0.0
        self._failure = OSError("the host has no address")

    def run(self, timeout: float) -> tuple[socket.socket, object]:
        """Return the first socket that is connected, and where to; close the others."""
        end = time.monotonic() + timeout
        head_start = min(HEAD_START, timeout / (2 * len(self._waiting) or 1))  # all get a chance
        with selectors.DefaultSelector() as running:
            try:
                while self._waiting or running.get_map():
                    now = time.monotonic()
                    if self._waiting and (now >= self._next_start or not running.get_map()):
                        self._begin(running)
                        self._next_start = now + head_start
                        continue
                    if now >= end:
                        raise TimeoutError("timed out")
                    until = min(end, self._next_start) if self._waiting else end
                    won = self._look(running, until - now)
                    if won is not None:
                        return won
            finally:
                for key in list(running.get_map().values()):
                    key.fileobj.close()  # type: ignore[union-attr]  # only sockets are in it
        raise self._failure

    def _begin(self, running: selectors.BaseSelector) -> None:
        family, kind, protocol, _, address = self._waiting.popleft()
        try:
            attempt = socket.socket(family, kind, protocol)
            attempt = socket.socket(family, kind, protocol, raised(attempt.detach()))
        except OSError as error:  # a family that this machine does not have
            self._failure = error
            return
        try:
            self._prepare(attempt)
            attempt.setblocking(False)  # noqa: FBT003 - the standard library's own
            code = attempt.connect_ex(address)
            if code and code not in _UNDER_WAY | {_UNTIL_WINDOWS_KNOWS}:
                raise OSError(code, os.strerror(code))  # noqa: TRY301 - one place closes it
            running.register(attempt, selectors.EVENT_WRITE, address)
        except OSError as error:
            self._failure = error
            attempt.close()
        except BaseException:
            attempt.close()
            raise

    def _look(
        self, running: selectors.BaseSelector, seconds: float
    ) -> tuple[socket.socket, object] | None:
        for key, _ in running.select(max(0.0, seconds)):
            attempt: Any = key.fileobj
            running.unregister(attempt)
            code = attempt.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            if not code:
                return attempt, key.data
            attempt.close()
            self._failure = OSError(code, os.strerror(code))
            self._next_start = 0.0  # the next need not wait any more
        return None


def _alternating(addresses: Sequence[Address]) -> list[Address]:
    """The addresses in their order, but with families in turns: one of them may be dead."""
    families: dict[object, list[Address]] = {}
    for each in addresses:
        families.setdefault(each[0], []).append(each)
    turns = zip_longest(*families.values())
    return [each for turn in turns for each in turn if each is not None]
