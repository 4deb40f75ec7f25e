"""What wakes a thread that waits."""

from __future__ import annotations

from contextlib import suppress
from queue import Empty, SimpleQueue


class Bell:
    """Wakes the one thread that waits for it.

    It may be rung from anywhere, by a signal handler in the middle of a ring or a wait as
    well: the interpreter's `SimpleQueue` is made for that. Conditions and Events are not:
    they hold a lock meanwhile, and the handler would wait for its own thread.
    """

    def __init__(self) -> None:
        self._rings: SimpleQueue[None] = SimpleQueue()

    def ring(self) -> None:
        """Wake the thread; if none waits, the next wait ends at once."""
        self._rings.put(None)

    def wait(self, seconds: float) -> None:
        """Wait for a ring, or so many seconds; take all the rings there are."""
        with suppress(Empty):
            self._rings.get(timeout=max(0.0, seconds))
            while True:
                self._rings.get_nowait()
