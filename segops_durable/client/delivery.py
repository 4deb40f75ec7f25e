"""The parts between an outbox and SegOps, and what they are told together."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from segops_durable.api import Exchange, Handshake, Pacer, Transport, Watch
    from segops_durable.delivery import Flusher, Flushing, Reporter, Sender
    from segops_durable.errors import SegOpsError
    from segops_durable.system.pulse import Pulse


class Delivery:
    """The parts between an outbox and SegOps; `wiring.delivery_of` puts them together.

    Args:
        exchanges: Make the requests: one for each connection.
        handshake: Where session tokens come from; None under a secret key.
        transports: Send a batch each.
        report: Where errors go.
        sender: Runs a round.
        flusher: The thread that has it run.
        flushing: Waits for its rounds.
        pacer: Gives requests their turns.
        pulse: Of the thread that sends.
    """

    def __init__(
        self,
        *,
        exchanges: Sequence[Exchange],
        handshake: Handshake | None,
        transports: Sequence[Transport],
        report: Reporter,
        sender: Sender,
        flusher: Flusher,
        flushing: Flushing,
        pacer: Pacer,
        pulse: Pulse,
    ) -> None:
        self._exchanges = exchanges
        self._transports = transports
        self.handshake = handshake
        self.report = report
        self.sender = sender
        self.flusher = flusher
        self.flushing = flushing
        self.pacer = pacer
        self.pulse = pulse

    @property
    def hangs_for(self) -> float | None:
        """Seconds for which the thread has been silent without a reason; None if there is none."""
        return self.pulse.overdue if self.flusher.is_running else None

    # As `listener.Listener` has them

    def notice(self, events: int) -> None:
        """Hear of events that are on disk now."""
        self.flusher.notice(events)

    def make_room(self, timeout: float) -> bool:
        """Have events sent, and wait for it; False on the sending thread itself."""
        return self.flushing.make_room(timeout)

    def postpone(self, error: SegOpsError) -> None:
        """Have an error told of on the sending thread."""
        self.report.postpone(error)

    def look_on(self, watch: Watch | None) -> None:
        """Have each request looked on at, from now on."""
        for each in self._transports:
            each.watch = watch

    def show_to(self, viewer: Watch | None) -> None:
        """Have each request shown to somebody who looks now, beside who measures them."""
        for each in self._transports:
            each.viewer = viewer

    def use_key(self, api_key: str) -> None:
        """Deliver with this key from now on, and try at once."""
        for each in self._transports:
            each.use_key(api_key)
        self.sender.forget_reports()
        self.flusher.request_round()

    def forget(self, name: str) -> None:
        """Begin no request any more that has a person in it who was erased from the disk.

        Nothing of them is left in errors that were kept, or in the note for other processes.
        """
        for each in self._exchanges:
            each.wait_until_it_left()  # or it passed the question before the erasure
        self.report.forget(name)
        self.flusher.note.leave()
        if self.handshake is not None:
            self.handshake.forget()

    def after_fork_in_child(self) -> None:
        """Leave the parent's connections alone; this delivery is not used any more."""
        for each in self._exchanges:
            each.after_fork_in_child()

    def close(self) -> None:
        """Close the connections; the flusher has to be stopped before."""
        for each in self._exchanges:
            each.close()
