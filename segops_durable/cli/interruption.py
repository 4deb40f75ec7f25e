"""Ctrl-C in a command: the first one ends it in order, the second one at once, both in silence.

A program that is interrupted while it clears up, or while Python itself ends, shows the
traceback of wherever it was. But whatever is stored here outlives a kill at any instant; so
the second Ctrl-C need clear up nothing.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType

INTERRUPTED = 1
"""The exit status: something that was to be done is not."""

_SHOW_CURSOR = b"\x1b[?25h"


def end_without_traceback() -> None:
    """Have Ctrl-C treated so from now on, unless it is ignored, or somebody else's, already."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _first)
        sys.unraisablehook = _unraisable


@contextmanager
def terminated_in_order() -> Iterator[None]:
    """Have a SIGTERM, as of a service manager, end a long job as the first Ctrl-C does."""
    is_main = threading.current_thread() is threading.main_thread()
    # elsewhere it cannot be had; or it is ignored, or somebody else's
    if not is_main or signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL:
        yield
        return
    signal.signal(signal.SIGTERM, _first_of_any)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


@contextmanager
def stopped_by_signals() -> Iterator[threading.Event]:
    """Have the first Ctrl-C or SIGTERM set an event, at which a service ends; the second ends it.

    It has to be called in the main thread, which must not wait for the event itself: the handler
    runs in that thread, and would wait there for a lock that the wait has.
    """
    stop = threading.Event()

    def first(number: int, _frame: FrameType | None) -> None:
        signal.signal(number, _second)
        stop.set()

    before = {each: signal.signal(each, first) for each in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _first_of_any(_number: int, _frame: FrameType | None) -> NoReturn:
    signal.signal(signal.SIGTERM, _second)
    raise KeyboardInterrupt


def _first(_number: int, _frame: FrameType | None) -> NoReturn:
    signal.signal(signal.SIGINT, _second)
    raise KeyboardInterrupt


def _second(_number: int, _frame: FrameType | None) -> None:
    end_at_once()


def _unraisable(found: sys.UnraisableHookArgs) -> None:
    """A Ctrl-C in the middle of what cannot raise would be shown, and then be forgotten."""
    if isinstance(found.exc_value, KeyboardInterrupt):
        end_at_once()
    sys.__unraisablehook__(found)


def end_at_once() -> NoReturn:
    """End this process, clearing up nothing: what is stored here outlives that."""
    if sys.__stderr__ is not None and sys.__stderr__.isatty():
        os.write(sys.__stderr__.fileno(), _SHOW_CURSOR)  # a progress bar has hidden it
    os._exit(INTERRUPTED)
