"""Rows of several calls that are committed together."""

from __future__ import annotations

import sys
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from segops_durable.errors import SegOpsError
    from segops_durable.outbox.records.rows import Also, NewRowValues


class Append:
    """The rows of one call: stored all or none."""

    __slots__ = ("also", "error", "is_taken", "rows")

    def __init__(self, rows: Sequence[NewRowValues], also: Also | None = None) -> None:
        self.rows: Sequence[NewRowValues] = rows
        self.also: Also | None = also
        self.is_taken: bool = False  # by the leader, into the transaction
        self.error: SegOpsError | None = None


class Group:
    """Rows that will be committed together, and the lock that their threads wait on.

    No lock guards it: a signal handler may interrupt any instruction here, and would wait for
    a lock that its own thread holds. Appending to a list, and taking a copy of it, are one
    step each; whoever came too late to be taken finds that out, and joins another group.
    """

    __slots__ = ("appends", "error", "finished", "is_committed", "leader", "size", "wanted")

    def __init__(self) -> None:
        self.leader: int = threading.get_ident()
        self.appends: list[Append] = []
        self.size: int = (
            0  # not exact, as `+=` is two steps: a group closes a little sooner or later
        )
        self.wanted: int = sys.maxsize  # the leader waits until there are so many appends
        self.finished: threading.Lock = threading.Lock()  # held by the leader as long as it leads
        self.is_committed: bool = False
        self.error: BaseException | None = None
