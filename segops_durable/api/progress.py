"""How far the request under way has come, and whether it may begin at all."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


class WithdrawnError(Exception):
    """What was to be sent is not to be sent any more."""


class RequestProgress:
    """Follows one request at a time; written by the thread that sends.

    Attributes:
        is_tracked: Whether a connection of our own says how far the request came.
        has_begun: Whether anything of it may have left.
        is_whole: Whether all of it has been handed to the system.
        meanwhile: What to do while the answer is awaited.
    """

    def __init__(self) -> None:
        self._leaving = threading.RLock()
        self._holds = 0
        self._is_wanted: Callable[[], bool] = lambda: True
        self.is_tracked: bool = False
        self.has_begun: bool = False
        self.is_whole: bool = False
        self.meanwhile: Callable[[], object] = lambda: None

    def start(self, is_wanted: Callable[[], bool], meanwhile: Callable[[], object]) -> None:
        """A new request.

        Args:
            is_wanted: Asked at the last instant, with the connection open, whether what is
                in the request may still leave.
            meanwhile: What to do while the answer is awaited.
        """
        self._is_wanted = is_wanted
        self.meanwhile = meanwhile
        self.is_tracked = self.has_begun = self.is_whole = False

    def begin(self) -> None:
        """Let it leave, from now on; further calls change nothing.

        Raises:
            WithdrawnError: It must not.
        """
        if self.has_begun:
            return
        self._leaving.acquire()
        self._holds += 1
        if not self._is_wanted():
            self.has_left()
            raise WithdrawnError
        self.has_begun = True

    def has_left(self) -> None:
        """Something of it is on its way, or nothing will be."""
        while self._holds:
            self._holds -= 1
            self._leaving.release()

    def wait_until_it_left(self) -> None:
        """Wait while a request that was let go has not left yet: what comes later asks anew."""
        with self._leaving:
            return
