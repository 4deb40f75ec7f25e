"""Children of a fork: what they do, and what is told of one that hangs."""

from __future__ import annotations

import faulthandler
import os
import signal
import traceback
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

LONG_SECONDS = 200
"""Nothing goes by it: a disk that others write to may take seconds for each of many commits."""


def in_child(work: Callable[[], object]) -> int:
    """Fork, work in the child, and end it; return its id."""
    child = os.fork()
    if child:
        return child
    status = 1
    try:
        tell_if_it_hangs()
        work()
        status = 0
    except BaseException:  # noqa: BLE001 - nobody else would hear of it
        os.write(2, traceback.format_exc().encode())
    finally:
        os._exit(status)


def status_of(child: int) -> int:
    """Wait for the end of a child, and return its status."""
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def tell_if_it_hangs() -> None:
    """Have this process say where each thread is, and end, if it takes too long.

    Also where it hangs in what no Python handler can interrupt; and without the handler of a
    test's own timeout, which leaves out the thread that it interrupts.
    """
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    faulthandler.register(signal.SIGALRM, file=2, all_threads=True, chain=True)
    signal.alarm(LONG_SECONDS)
