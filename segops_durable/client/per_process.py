"""What each process of a client makes for itself: its delivery.

Threads do not survive a fork, and connections must not be shared after one. So a child
makes a delivery of its own, once it uses the client; one that does not is left in peace.
"""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING

from segops_durable.client.forks import take_part
from segops_durable.client.wiring import delivery_of
from segops_durable.system.locks import BoundedLock

if TYPE_CHECKING:
    from segops_durable.api import Watch
    from segops_durable.client.delivery import Delivery
    from segops_durable.client.options import Options
    from segops_durable.identity import Users
    from segops_durable.outbox import Outbox
    from segops_durable.system.clock import Clock


class PerProcessDelivery:
    """The delivery of this process; `start` has its thread run.

    Args:
        options: How to deliver.
        outbox: What is delivered.
        users: Who is using the device; None under a secret key.
        clock: The time.

    Attributes:
        options: May be replaced; what a child makes is made of them.
        process_id: Of the process whose delivery this is.
        closing: Held by whoever shuts the client down.
    """

    def __init__(self, options: Options, outbox: Outbox, users: Users | None, clock: Clock) -> None:
        self.options = options
        self.process_id: int = os.getpid()
        self.closing: BoundedLock = _lock()
        self._outbox = outbox
        self._users = users
        self._clock = clock
        self._delivery = delivery_of(options, outbox, users, clock)
        self._waking = _lock()
        self._is_asleep = False  # true in a child of a fork, until it uses the client
        self._has_let_go = False
        self._watch: Watch | None = None
        # Kept in a child until it ends, neither closed nor collected. The connections close
        # behind locks: of urllib3's pool (its finalizer too), and of a response's reader. If the
        # parent's sending thread held one at the fork, nobody is left to give it back, and the
        # child would wait for ever; on every system that forks.
        self._inherited: list[Delivery] = []
        take_part(self)

    def start(self) -> None:
        """Start the thread; if that fails, nothing is left open.

        Raises:
            StorageError: The outbox cannot be read.
        """
        try:
            self._delivery.flusher.start()
        except BaseException:
            self._delivery.flusher.stop(0)
            self._delivery.close()
            raise

    @property
    def current(self) -> Delivery:
        """The delivery; in a child of a fork it is made at its first use.

        Raises:
            StorageError: The outbox cannot be read; or a signal handler asks, which
                interrupted the first use.
        """
        if self._is_asleep:
            if self._waking.is_mine():
                raise self._outbox.interrupted()
            self._waking.run(self._wake)
            # outside the lock: it may call `on_error`, which may take its time, or fork
            self._delivery.flusher.start(is_first=False)
        return self._delivery

    @property
    def is_asleep(self) -> bool:
        """Whether this is a child of a fork that has not used the client."""
        return self._is_asleep

    def look_on(self, watch: Watch) -> None:
        """Have each request looked on at, in this process and in its children."""
        self._watch = watch
        self._delivery.look_on(watch)

    def _wake(self) -> None:
        if self._is_asleep:
            self._delivery.after_fork_in_child()
            self._inherited.append(self._delivery)
            self._delivery = delivery_of(self.options, self._outbox, self._users, self._clock)
            self._delivery.look_on(self._watch)
            self.process_id = os.getpid()
            # a signal handler may raise before the thread is started: the next event starts it
            self._delivery.flusher.want()
            self._is_asleep = False

    # As `forks.Forkable` has them

    def before_fork(self) -> None:
        """Let go of the outbox, with nobody in the midst of a first use."""
        self._waking.acquire()
        self._has_let_go = self._outbox.before_fork()

    def after_fork_in_parent(self) -> None:
        """Go on as before."""
        if self._has_let_go:
            self._outbox.after_fork_in_parent()
            self._has_let_go = False  # or the next fork, if Ctrl-C ends its `before`, goes by it
        self._waking.release()

    def after_fork_in_child(self) -> None:
        """Sleep until this process uses the client; until then it is the parent's delivery."""
        self._waking = _lock()
        self.closing = _lock()
        if self._has_let_go:
            self._outbox.after_fork_in_child()
            self._is_asleep = True
            self._has_let_go = False


def _lock() -> BoundedLock:
    """A lock that is held for as long as others may wait for it: what is done then is bounded."""
    return BoundedLock(threading.TIMEOUT_MAX)
