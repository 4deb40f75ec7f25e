"""What a service is asked for by signals: to end, and to read its settings again."""

from __future__ import annotations

import select
import signal
import socket
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from segops_durable.cli.interruption import end_at_once

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import FrameType, TracebackType

    from typing_extensions import Self

ENDING = (signal.SIGTERM, signal.SIGINT)
RELOADING = (signal.SIGHUP,) if hasattr(signal, "SIGHUP") else ()


def hear_reloads() -> list[int]:
    """Have what asks for a reload noted from now on, and not end a service that only begins.

    Returns:
        Those that have come, to which others are added.
    """
    heard: list[int] = []
    if threading.current_thread() is threading.main_thread():
        for each in RELOADING:
            if signal.getsignal(each) is signal.SIG_DFL:
                signal.signal(each, lambda number, _frame: heard.append(number))
    return heard


class Signals:
    """Notes the signals that come; a second one that ends it ends it at once.

    Elsewhere than on the main thread none comes. Whoever waits is woken by a descriptor: a signal
    that comes just before a lock or a queue is waited for would be seen only at the end of that.

    Args:
        early: What has come already, of `hear_reloads`. Defaults to nothing.

    Attributes:
        is_over: Whether the service was asked to end.
    """

    def __init__(self, early: Sequence[int] = ()) -> None:
        self._early = early
        self._here, self._there = socket.socketpair()
        for each in (self._here, self._there):
            each.setblocking(False)  # noqa: FBT003 - the standard library's
        self.is_over: bool = False
        self._reloads = 0
        self._before: dict[int, Any] = {}

    def wait(self, seconds: float) -> None:
        """Wait until something is asked for, or so many seconds."""
        select.select([self._here], [], [], seconds)
        with suppress(OSError):
            while self._here.recv(4096):
                pass

    def takes_reload(self) -> bool:
        """Whether it was asked to read its settings again since the last time."""
        count, self._reloads = self._reloads + len(self._early), 0
        self._early = ()
        return count > 0

    def _hear(self, number: int, _frame: FrameType | None) -> None:
        if number in RELOADING:
            self._reloads += 1
            return
        if self.is_over:
            end_at_once()
        self.is_over = True

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            signal.set_wakeup_fd(self._there.fileno(), warn_on_full_buffer=False)
            for each in (*ENDING, *RELOADING):
                if signal.getsignal(each) is not signal.SIG_IGN:  # as nohup has it
                    self._before[each] = signal.signal(each, self._hear)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for each, before in self._before.items():
            signal.signal(each, before)
        if self._before:
            signal.set_wakeup_fd(-1)
        self._here.close()
        self._there.close()
