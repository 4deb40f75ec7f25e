"""What the client says of itself: `FlushResult`, `Stats` and `State`."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING

from segops_durable.errors import PendingEventsError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from segops_durable.errors import SegOpsError

_NOBODY = "No process sends what waits on this disk: start one, as segops-durable run is"


class State(str, Enum):
    """What the flusher is doing."""

    IDLE = "idle"  # nothing to send, or waiting for a batch or the interval
    SENDING = "sending"  # a round is under way
    BACKING_OFF = "backing_off"  # the last round failed; the next one waits
    RATE_LIMITED = "rate_limited"  # SegOps asked for patience, or a request waits for its turn
    GATED = "gated"  # `may_send` has said that nothing is to be sent now
    UNAUTHORISED = "unauthorised"  # a key, a session or the address is not accepted
    NOT_SEGOPS = "not_segops"  # something else answers: a captive portal, a proxy
    STANDBY = "standby"  # another process sends for this outbox
    NO_SENDER = "no_sender"  # this client only appends (`sends=False`), and nobody sends
    CLOSED = "closed"  # shut down


@dataclass(frozen=True)
class FlushResult:
    """How a flush, or a shutdown, ended.

    Attributes:
        sent: Events that SegOps accepted during the call.
        pending: Events queued before the call that still wait on disk.
        dead: Events that went to the dead letters during the call.
        blocked: Whether sending waits for something that another flush cannot change: a
            rate limit, a request's turn, `may_send`, a key, an address, a session for the
            events' user, or a process that sends.
        lost: Events that were found during the call to be lost to a damaged disk, or that
            gave way to new ones. Defaults to 0.
        state: What the sender was doing when the call ended, and so why something waits.
    """

    sent: int
    pending: int
    dead: int
    blocked: bool
    lost: int = 0
    state: State = field(default=State.IDLE, compare=False)

    @property
    def ok(self) -> bool:
        """Whether everything queued before the call has been accepted, or erased by you."""
        return self.pending == 0 and self.dead == 0 and self.lost == 0

    def raise_for_pending(self) -> None:
        """Raise unless `ok`.

        Raises:
            PendingEventsError: Events wait, or were refused or lost.
        """
        if not self.ok:
            hint = _NOBODY if self.state is State.NO_SENDER else None
            raise PendingEventsError(
                pending=self.pending, dead=self.dead, lost=self.lost, hint=hint
            )


@dataclass(frozen=True)
class Stats:
    """How a client and its outbox stand.

    Attributes:
        pending: Events that wait on disk.
        dead: Events in the dead letters.
        oldest_age: Seconds that the oldest waiting event has waited; None if none waits.
        queue_bytes: Size of the outbox files.
        accepted_total: Events that SegOps has accepted from this outbox, ever.
        dropped_total: Events that gave way to new ones in this outbox, ever.
        lost_total: Events that a damaged disk has taken from it, as far as is known, ever.
        expired_total: Events that waited longer than `max_age`, ever; they are dead letters.
        state: What the flusher is doing.
        retry_at: When what failed is tried again by itself, a request that waits for its turn
            has it, or `may_send` is asked again, UTC; None if nothing failed, and none waits.
        last_error: The last error that delivery met; None if none since the start.
        last_accepted_at: When SegOps last accepted events, UTC; None if it never has.
        held: Waiting events that cannot be sent for now, by user id or anonymous id, as far
            as this process has tried: under a public key those for whose user there is no
            session; under either kind those that were tracked under the other, which wait for
            a client with such a key. Nobody's, and those tracked under a secret key, have the
            empty name.
        screened_out: Events that `before_store` has dropped, by this client.
        requests_per_minute: How many this client makes at most for now: its share of
            `max_requests_per_minute`, or fewer, as it has learned; None for no limit.
    """

    pending: int
    dead: int
    oldest_age: float | None
    queue_bytes: int
    accepted_total: int
    dropped_total: int
    lost_total: int
    expired_total: int
    state: State
    retry_at: datetime | None
    last_error: SegOpsError | None
    last_accepted_at: datetime | None
    held: Mapping[str, int] = field(default_factory=dict)
    screened_out: int = 0
    requests_per_minute: float | None = None
