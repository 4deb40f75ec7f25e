"""Where options become parts: what takes events into the outbox, and from there to SegOps.

Nothing else knows both the options and what is made of them: a part is told what it needs.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from segops_durable._version import __version__
from segops_durable.api import Exchange, Handshake, Pacer, Rate, Transport, Turns
from segops_durable.client.delivery import Delivery
from segops_durable.delivery import Flusher, Flushing, Gate, Housekeeping, Pace, Reporter, Sender
from segops_durable.identity import Users
from segops_durable.intake import Intake
from segops_durable.outbox import Caps, Outbox
from segops_durable.system.pulse import Pulse, PulsingClock

if TYPE_CHECKING:
    from pathlib import Path

    from segops_durable.client.options import Options
    from segops_durable.outbox import Batch
    from segops_durable.system.clock import Clock


def open_outbox(options: Options, path: Path, clock: Clock, uuid: str | None = None) -> Outbox:
    """Open the outbox at a path.

    Args:
        options: What it may hold, and whose it is.
        path: Where it is.
        clock: The time.
        uuid: As `Outbox` has it. Defaults to one of its own.

    Raises:
        StorageError: The file cannot be opened.
        ConfigurationError: The file belongs to another `api_url`.
    """
    return Outbox(
        path,
        api_url=options.api_url,
        key_fingerprint=options.key_fingerprint,
        durability=options.durability,
        caps=Caps(
            options.max_queue_events,
            options.max_queue_bytes,
            drops_oldest=options.overflow == "drop_oldest",
        ),
        max_age=options.max_age,
        allow_network_filesystem=options.allow_network_filesystem,
        lock_timeout=options.lock_timeout,
        clock=clock,
        uuid=uuid,
    )


def intake_of(options: Options, outbox: Outbox, users: Users | None, clock: Clock) -> Intake:
    """What stores events."""
    return Intake(
        outbox,
        clock,
        users=users,
        before_store=options.before_store,
        max_event_bytes=options.max_event_bytes,
        patience=options.overflow_timeout if options.overflow == "block" else 0.0,
    )


def users_of(options: Options, outbox: Outbox) -> Users | None:
    """Who is using the device; None under a secret key, where each event says it itself."""
    if not options.has_public_key:
        return None
    return Users(options.get_user, options.user_context_for, outbox.owner.anonymous_id)


def delivery_of(options: Options, outbox: Outbox, users: Users | None, clock: Clock) -> Delivery:
    """What sends to SegOps, for this process; its thread does not run yet.

    Args:
        options: How.
        outbox: What is delivered.
        users: Who is using the device; None under a secret key.
        clock: What all waits go by.
    """
    pulse = Pulse(clock)
    clock = PulsingClock(clock, pulse)
    stop = threading.Event()
    # of several connections one may be told to wait, and the others not be over
    halt = stop if options.max_in_flight == 1 else threading.Event()
    pace = _pace_of(options)
    pacer = _pacer_of(options, outbox, halt, clock)
    exchanges = _exchanges_of(options, pacer, halt, pulse)
    handshake = None if users is None else Handshake(exchanges[0], options.api_key, users, clock)

    def may_leave(batch: Batch) -> bool:
        # one that is stopped within a request, and loses its place, tries no other when it goes on
        return outbox.sender_lock.is_held and outbox.batches.is_whole(batch)

    transports = [Transport(each, options.api_key, handshake, may_leave) for each in exchanges]
    report = Reporter(pulse.around(options.on_error), clock)
    sender = Sender(
        outbox, transports, pace, report, users=users, stop=stop, halt=halt, clock=clock
    )
    sender.place.gate = Gate(pulse.around(options.may_send), options.flush_interval, report, clock)
    sender.place.sends = options.sends
    sender.place.on_taken = lambda: pacer.go_on_from(outbox.kept_rate() or {})
    flusher = Flusher(
        outbox,
        sender,
        Housekeeping(outbox, report),
        pace,
        report=report,
        stop=stop,
        clock=clock,
    )
    return Delivery(
        exchanges=exchanges,
        handshake=handshake,
        transports=transports,
        report=report,
        sender=sender,
        flusher=flusher,
        flushing=Flushing(outbox, sender, flusher, pace, pacer),
        pacer=pacer,
        pulse=pulse,
    )


def _pacer_of(options: Options, outbox: Outbox, halt: threading.Event, clock: Clock) -> Pacer:
    allowed = options.max_requests_per_minute
    share = None if allowed is None else allowed / options.fleet_size
    rate = Rate(share, is_one_of_many=options.fleet_size > 1, draw=clock.draw)
    longest = options.max_retry_after
    return Pacer(rate, halt, clock, longest=longest, keep=outbox.keep_rate)


def _exchanges_of(
    options: Options, pacer: Pacer, halt: threading.Event, pulse: Pulse
) -> list[Exchange]:
    """One for each connection; a minute has its requests, whichever they go over."""
    is_over = (lambda: False) if options.max_in_flight == 1 else halt.is_set
    return [
        Exchange(
            options.api_url,
            timeout=options.timeout,
            user_agent=f"segops-durable/{__version__}",
            session=options.http_session,
            turns=Turns(pacer, is_over),
            pulse=pulse,
        )
        for _ in range(options.max_in_flight)
    ]


def _pace_of(options: Options) -> Pace:
    attempts = options.max_retries + 1
    return Pace(
        batch_size=options.batch_size,
        largest_batch=options.largest_batch,
        newest_share=options.newest_share,
        minimum=options.batch_size if options.batch else 1,
        flush_interval=options.flush_interval,
        max_retries=options.max_retries,
        max_retry_after=options.max_retry_after,
        longest_round=options.flush_interval + attempts * (options.timeout + attempts),
    )
