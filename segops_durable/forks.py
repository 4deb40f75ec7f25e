"""Forks: clients let go of their files before one, and go on in both processes after it.

SQLite loses what a parent commits if a child has inherited its connection, even if the
child never uses it. So nothing may be open, and no lock held by another thread, while the
interpreter forks.
"""

from __future__ import annotations

import os
import threading
import weakref
from typing import Protocol


class Forkable(Protocol):
    """What takes part in a fork."""

    def before_fork(self) -> None:
        """Let go of files, and take every lock."""

    def after_fork_in_parent(self) -> None:
        """Give the locks back."""

    def after_fork_in_child(self) -> None:
        """Start anew, with locks of this process's own."""


class _Participants:
    """Those who take part; forgotten when nobody else refers to them."""

    def __init__(self) -> None:
        self._all: weakref.WeakSet[Forkable] = weakref.WeakSet()
        self._here = threading.local()  # several threads may fork at once

    def add(self, one: Forkable) -> None:
        self._all.add(one)

    def before(self) -> None:
        self._here.forking = sorted(self._all, key=id)  # one order for all threads' locks
        for each in self._here.forking:
            each.before_fork()

    def after_in_parent(self) -> None:
        for each in self._here.forking:
            each.after_fork_in_parent()
        self._here.forking = []

    def after_in_child(self) -> None:
        for each in self._here.forking:
            each.after_fork_in_child()
        self._here.forking = []


_PARTICIPANTS = _Participants()

if hasattr(os, "register_at_fork"):  # Windows has no fork
    os.register_at_fork(
        before=_PARTICIPANTS.before,
        after_in_parent=_PARTICIPANTS.after_in_parent,
        after_in_child=_PARTICIPANTS.after_in_child,
    )


def take_part(one: Forkable) -> None:
    """Have an object told of every fork from now on, as long as it lives."""
    _PARTICIPANTS.add(one)
