"""Forks: clients let go of their files before one, and go on in both processes after it.

SQLite loses what a parent commits if a child has inherited its connection, even if the
child never uses it. So nothing may be open, and no lock held by another thread, while the
interpreter forks. In this order, on every system that forks:

1. Before: the thread that forks takes the locks of a client (its first use in a process, the
   write gate, the readers' turn, the place as the sender), and closes the connections. The
   other threads wait.
2. In the parent: it gives the locks back. The next use opens the file again.
3. In the child: the locks are made anew, as those that were inherited stay shut. It is not the
   sender, and has no thread; nothing else is done until it uses the client.
4. At the first use in the child: it makes a delivery of its own, with a thread.

Where a client cannot let go (its fork comes from a signal handler in the midst of a commit, say)
the process forks all the same; in the child that client refuses every call.
"""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING, Protocol

from segops_durable.system.living import Living
from segops_durable.system.locks import ProcessLock

if TYPE_CHECKING:
    from collections.abc import Callable

from segops_durable.system.on_demand import heed_forks


class Forkable(Protocol):
    """What takes part in a fork; what comes after it may be interrupted, and begun again."""

    def before_fork(self) -> None:
        """Let go of files, and take every lock."""

    def after_fork_in_parent(self) -> None:
        """Give the locks back."""

    def after_fork_in_child(self) -> None:
        """Start anew, with locks of this process's own."""


class _Here(threading.local):
    """Who is asked by this thread: several may fork at once."""

    def __init__(self) -> None:
        self.forking: list[Forkable] = []


class _Participants:
    """Those who take part; forgotten when nobody else refers to them."""

    def __init__(self) -> None:
        self._all: Living[Forkable] = Living()
        self._here = _Here()

    def add(self, one: Forkable) -> None:
        self._all.add(one)

    def before(self) -> None:
        # In one order: of two threads that fork at once, each would else hold a lock that the
        # other waits for.
        self._here.forking = sorted(self._all.now(), key=id)
        failures = [_failure_of(each) for each in self._here.forking]
        for failure in filter(None, failures):
            raise failure

    def after_in_parent(self) -> None:
        self._have_all(lambda each: each.after_fork_in_parent())

    def after_in_child(self) -> None:
        self._have_all(lambda each: each.after_fork_in_child())

    def _have_all(self, go_on: Callable[[Forkable], None]) -> None:
        forking = self._here.forking
        while forking:
            go_on(forking[-1])
            forking.pop()  # only now: whom Ctrl-C interrupts has to be asked again


def _failure_of(one: Forkable) -> BaseException | None:
    """Have it let go; Python forks whatever is raised here, so the others have to, all the same."""
    try:
        one.before_fork()
    except BaseException as error:  # noqa: BLE001 - Ctrl-C, too; it is raised once all are asked
        return error
    return None


_PARTICIPANTS = _Participants()

# registered before these: what is registered last is done first, and a thread that holds a gate may
# load something, and would wait for the fork, which waits for the gate
heed_forks()
if hasattr(os, "register_at_fork"):  # Windows has no fork
    os.register_at_fork(
        before=_PARTICIPANTS.before,
        after_in_parent=_PARTICIPANTS.after_in_parent,
        after_in_child=_PARTICIPANTS.after_in_child,
    )
    # Ctrl-C in the midst of a fork is raised in the first hook after it, at its first instruction:
    # then the second does what is left, or all of it
    os.register_at_fork(
        after_in_parent=_PARTICIPANTS.after_in_parent,
        after_in_child=_PARTICIPANTS.after_in_child,
    )

ONE_STEP = ProcessLock()
"""Held from the opening of a file until its client takes part: a fork in between would leave the
connection open, and what SQLite knows of the file would be wrong in the child. It is made after
the hooks above, so a fork waits for it before them.
"""


def take_part(one: Forkable) -> None:
    """Have an object told of every fork from now on, as long as it lives."""
    _PARTICIPANTS.add(one)
