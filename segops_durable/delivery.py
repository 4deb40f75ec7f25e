"""Puts together what takes events from the outbox to SegOps."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from segops_durable._version import __version__
from segops_durable.exchange import Exchange
from segops_durable.flusher import Flusher
from segops_durable.handshake import Handshake
from segops_durable.limits import Pacer
from segops_durable.reporting import Reporter
from segops_durable.sender import Pace, Sender
from segops_durable.transport import Transport
from segops_durable.upkeep import Upkeep
from segops_durable.users import Users

if TYPE_CHECKING:
    from segops_durable.clock import Clock
    from segops_durable.options import Options
    from segops_durable.outbox import Outbox


class Delivery:
    """The parts between an outbox and SegOps, wired.

    Args:
        options: How.
        outbox: What is delivered.
        clock: What all waits go by.

    Attributes:
        handshake: Where session tokens come from; None under a secret key.
        report: Where errors go.
        sender: Runs a round.
        flusher: The thread that has it run.
    """

    def __init__(self, options: Options, outbox: Outbox, clock: Clock) -> None:
        users = users_of(options, outbox)
        stop = threading.Event()
        pace = _pace_of(options)
        self._exchange = Exchange(
            options.api_url,
            timeout=options.timeout,
            user_agent=f"segops-durable/{__version__}",
            session=options.http_session,
            wait_for_turn=Pacer(options.max_requests_per_minute, stop, clock).wait_for_turn,
        )
        self.handshake = (
            None if users is None else Handshake(self._exchange, options.api_key, users, clock)
        )
        self._transport = Transport(self._exchange, options.api_key, self.handshake)
        self.report = Reporter(options.on_error, clock)
        self.sender = Sender(
            outbox, self._transport, pace, self.report, users=users, stop=stop, clock=clock
        )
        self.flusher = Flusher(
            outbox,
            self.sender,
            Upkeep(outbox, self.report),
            pace,
            wake_at=options.batch_size if options.batch else 1,
            report=self.report,
            stop=stop,
            clock=clock,
        )

    def use_key(self, api_key: str) -> None:
        """Deliver with this key from now on, and try at once."""
        self._transport.use_key(api_key)
        self.sender.forget_reports()
        self.flusher.request_round()

    def after_fork_in_child(self) -> None:
        """Leave the parent's connections alone; this delivery is not used any more."""
        self._exchange.after_fork_in_child()

    def close(self) -> None:
        """Close the connections; the flusher has to be stopped before."""
        self._exchange.close()


def users_of(options: Options, outbox: Outbox) -> Users | None:
    """Who is using the device; None under a secret key, where each event says it itself."""
    if not options.has_public_key:
        return None
    return Users(options.get_user, options.user_context_for, outbox.anonymous_id)


def _pace_of(options: Options) -> Pace:
    attempts = options.max_retries + 1
    return Pace(
        batch_size=options.batch_size,
        flush_interval=options.flush_interval,
        max_retries=options.max_retries,
        max_retry_after=options.max_retry_after,
        longest_round=options.flush_interval + attempts * (options.timeout + attempts),
    )
