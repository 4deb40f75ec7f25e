"""HTTP as uvicorn speaks it, with an end to the patience for whoever begins a request, or none.

By h11: it bounds what goes before a body, which httptools does not.
"""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Any

from uvicorn.protocols.http.h11_impl import H11Protocol

if TYPE_CHECKING:
    import asyncio

    from starlette.types import Scope

HEAD_SECONDS = 20.0
"""For what goes before a body to arrive whole; a body has a time of its own."""

_ABORT, _IS_FILE, _TASKS = "relay.abort", "relay.is_file", "relay.tasks"
_UNIX = getattr(socket, "AF_UNIX", None)


def hang_up(scope: Scope) -> None:
    """Reset the connection of a request: what was not taken of an answer is not waited for."""
    scope["state"][_ABORT]()


def is_of_file(scope: Scope) -> bool:
    """Whether a request came over a socket that is a file.

    The connection says so. That it has no address proves nothing: neither has one that its other
    end has reset already, from wherever that was.
    """
    return bool(scope["state"][_IS_FILE])


def is_alone(scope: Scope) -> bool:
    """Whether no other request is here: none is being answered, or has been read in this turn."""
    return len(scope["state"][_TASKS]) == 1


class Protocol(H11Protocol):
    """One connection."""

    _patience: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as in the base
        """Wait for the first request, and not for ever."""
        super().connection_made(transport)
        # each scope of this connection has it
        peer = transport.get_extra_info("socket")
        self.app_state: dict[str, Any] = {
            **self.app_state,
            _ABORT: transport.abort,
            _IS_FILE: peer is not None and peer.family == _UNIX,
            _TASKS: self.tasks,
        }
        self._wait()

    def data_received(self, data: bytes) -> None:
        """Wait for what is left of a request's head; a body is waited for by who reads it."""
        if self._patience is None and self._is_between:
            self._wait()
        super().data_received(data)
        if not self._is_between:
            self._end_wait()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait for nothing any more."""
        self._end_wait()
        super().connection_lost(exc)

    @property
    def _is_between(self) -> bool:
        """Whether no request is being answered."""
        return self.cycle is None or self.cycle.response_complete  # type: ignore[redundant-expr]  # None before the first one

    def _wait(self) -> None:
        self._patience = self.loop.call_later(HEAD_SECONDS, self._give_up)

    def _end_wait(self) -> None:
        if self._patience is not None:
            self._patience.cancel()
            self._patience = None

    def _give_up(self) -> None:
        self._patience = None
        if not self.transport.is_closing():
            self.transport.abort()
