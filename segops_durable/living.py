"""A client's delivery in whatever process it finds itself.

Threads do not survive a fork, and connections must not be shared after one. So a child
makes a delivery of its own, once it uses the client; one that does not is left in peace.
"""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING

from segops_durable.delivery import Delivery
from segops_durable.forks import take_part

if TYPE_CHECKING:
    from segops_durable.clock import Clock
    from segops_durable.options import Options
    from segops_durable.outbox import Outbox


class LivingDelivery:
    """The delivery of this process, with its thread running.

    Args:
        options: How to deliver.
        outbox: What is delivered.
        clock: The time.

    Attributes:
        options: May be replaced; what a child makes is made of them.
        process_id: Of the process whose delivery this is.
        closing: Held by whoever shuts the client down.
    """

    def __init__(self, options: Options, outbox: Outbox, clock: Clock) -> None:
        self.options = options
        self.process_id = os.getpid()
        self.closing = threading.RLock()  # a signal handler may shut down as well
        self._outbox = outbox
        self._clock = clock
        self._delivery = Delivery(options, outbox, clock)
        self._waking = threading.RLock()
        self._is_asleep = False  # in a child of a fork, until it is used there
        self._has_let_go = False
        self._inherited: list[Delivery] = []  # kept: to clean up what it has could hang
        take_part(self)
        self._delivery.flusher.start()

    @property
    def current(self) -> Delivery:
        """The delivery; in a child of a fork it is made at its first use."""
        if self._is_asleep:
            self._wake()
        return self._delivery

    def _wake(self) -> None:
        with self._waking:
            if self._is_asleep:
                self._delivery.after_fork_in_child()
                self._inherited.append(self._delivery)
                self._delivery = Delivery(self.options, self._outbox, self._clock)
                self.process_id = os.getpid()
                self._delivery.flusher.start()
                self._is_asleep = False

    # As `forks.Forkable` has them

    def before_fork(self) -> None:
        """Let go of the outbox."""
        self._waking.acquire()
        self._has_let_go = self._outbox.before_fork()

    def after_fork_in_parent(self) -> None:
        """Go on as before."""
        if self._has_let_go:
            self._outbox.after_fork_in_parent()
        self._waking.release()

    def after_fork_in_child(self) -> None:
        """Sleep until this process uses the client."""
        self._waking = threading.RLock()
        self.closing = threading.RLock()
        if self._has_let_go:
            self._outbox.after_fork_in_child()
            self._is_asleep = True
