"""An outbox that a command works on: opened for it alone, with no thread that sends."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import click

from segops_durable.cli.command import tell
from segops_durable.clock import Clock
from segops_durable.delivery import Delivery
from segops_durable.intake import Intake
from segops_durable.outbox import Outbox, owner_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from segops_durable.cli.configuration import Configuration
    from segops_durable.options import Options


@dataclass(frozen=True)
class Station:
    """What a command needs to store events.

    Attributes:
        outbox: Where to.
        intake: What stores them.
        delivery: Is not started.
        clock: The time.
        options: How.
    """

    outbox: Outbox
    intake: Intake
    delivery: Delivery
    clock: Clock
    options: Options


@contextmanager
def opened_outbox(configuration: Configuration) -> Iterator[Outbox]:
    """Open the outbox that is there, for a look or for repair; no key is needed.

    Raises:
        ClickException: There is none.
    """
    path = configuration.outbox_path()
    if not path.exists():
        raise missing(path)
    api_url, fingerprint = owner_of(path) or (None, None)
    if api_url is None or fingerprint is None:
        options = configuration.options(queue_path=path)
        api_url, fingerprint = options.api_url, options.key_fingerprint
    outbox = Outbox(
        path, api_url=api_url, key_fingerprint=fingerprint, allow_network_filesystem=True
    )
    try:
        yield outbox
    finally:
        tell(outbox.pop_incidents())
        outbox.resign_as_sender()
        outbox.close()


@contextmanager
def station(configuration: Configuration) -> Iterator[Station]:
    """Open the outbox of the key, or make it, to store events in it."""
    options = replace(configuration.options(), queue_path=configuration.outbox_path())
    clock = Clock()
    outbox = Outbox.of(options, options.outbox_path, clock)
    delivery = Delivery(options, outbox, clock)
    try:
        yield Station(outbox, Intake(outbox, options, clock), delivery, clock, options)
    finally:
        tell(outbox.pop_incidents())
        outbox.close()
        delivery.close()


def missing(path: Path) -> click.ClickException:
    """What to say where there is no outbox."""
    return click.ClickException(
        f"there is no outbox at {path}: nothing has been tracked there yet. "
        "Choose another with --queue-path; `segops-durable config` shows what is set"
    )
