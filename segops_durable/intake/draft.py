"""Events of a call that must not wait: what is settled where they are tracked, and the rest."""

from __future__ import annotations

from contextvars import Context, copy_context
from typing import TYPE_CHECKING, Any

from segops_durable.events import NORMAL, make_event
from segops_durable.identity import NO_IDENTITY
from segops_durable.intake.screening import copy_of
from segops_durable.outbox import Entry

if TYPE_CHECKING:
    from collections.abc import Sequence

    from segops_durable.events import Event
    from segops_durable.intake.intake import Intake
    from segops_durable.intake.listener import Listener
    from segops_durable.outbox import Checkpoint
    from segops_durable.system.clock import Moment


class Draft:
    """Takes events as they are, when they are tracked, and whose they are; touches no disk.

    Under a secret key that leaves their bytes. A public key puts the id of the device's visitor
    into them, which is on the disk: then it keeps copies, and `entry` makes the bytes.

    Args:
        intake: What stores them.
        listener: Hears of a `get_user` that fails.
    """

    __slots__ = ("_encoded", "_find", "_intake", "_later", "_moments", "_priorities")

    def __init__(self, intake: Intake, listener: Listener) -> None:
        self._intake = intake
        self._find = intake.whose(listener)
        self._encoded: list[bytes] = []
        self._moments: list[Moment] = []
        self._priorities: list[str] = []
        self._later: list[tuple[list[Event], Moment, Context]] = []

    def add(self, events: Sequence[Event | dict[str, Any]]) -> None:
        """Take events.

        Raises:
            InvalidEventError: One cannot be sent, or is too large; it may be `entry` that finds so.
        """
        now = self._intake.moment()
        if self._find is None:
            self._take(*self._intake.encoded(self._intake.kept(events), now, None))
        else:
            kept = [copy_of(make_event(each)) for each in self._intake.kept(events)]
            self._later.append((kept, now, copy_context()))

    def entry(self, checkpoint: Checkpoint | None = None) -> Entry:
        """What is to be stored; this may read the disk.

        Args:
            checkpoint: How far the job has come that they are from. Defaults to none.

        Raises:
            InvalidEventError: As `add`.
            StorageError: The id of the device's visitor cannot be read.
        """
        identity = NO_IDENTITY
        if self._find is not None:
            identity, anonymous_id = self._find()
            for events, now, context in self._later:
                context.run(self._take, *self._intake.encoded(events, now, anonymous_id))
            self._later = []
        priorities = self._priorities if {*self._priorities} - {NORMAL} else None
        return Entry(self._encoded, identity, self._moments, checkpoint, priorities)

    def _take(
        self, encoded: list[bytes], moments: list[Moment], priorities: list[str] | None
    ) -> None:
        if self._intake.before_append is not None:
            self._intake.before_append(encoded)
        self._encoded += encoded
        self._moments += moments
        self._priorities += priorities or [NORMAL] * len(encoded)
