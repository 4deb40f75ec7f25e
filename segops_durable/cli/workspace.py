"""An outbox that a command works on: opened for it alone, with no thread that sends."""

from __future__ import annotations

import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import click

from segops_durable.cli.command import tell
from segops_durable.cli.elsewhere import leftovers, tell_of_leftovers
from segops_durable.client import intake_of, open_outbox, users_of
from segops_durable.delivery import knock_once
from segops_durable.outbox import (
    Outbox,
    check_database,
    is_unused,
    new_file_of,
    owner_of,
    refuse_damaged,
    refuse_stranger,
)
from segops_durable.system.clock import Clock
from segops_durable.system.trusted_paths import check_openable, real_path

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from segops_durable.cli.configuration import Configuration
    from segops_durable.client import Options
    from segops_durable.errors import SegOpsError
    from segops_durable.intake import Intake, Listener


_POLL_SECONDS = 0.05


@dataclass(frozen=True)
class Workspace:
    """What a command needs to store events.

    Attributes:
        outbox: Where to.
        intake: What stores them.
        listener: Hears of them.
        clock: The time.
        options: How.
    """

    outbox: Outbox
    intake: Intake
    listener: Listener
    clock: Clock
    options: Options


@contextmanager
def opened_outbox(configuration: Configuration, *, mends: bool = False) -> Iterator[Outbox]:
    """Open the outbox that is there; no key is needed.

    Args:
        configuration: Says where.
        mends: Mend what is damaged. Defaults to False: a look leaves it as it is.

    Raises:
        ClickException: There is none.
        ConfigurationError: It never was one.
        StorageError: It is of another user, is damaged, or cannot be opened.
    """
    path = real_path(configuration.outbox_path())
    # a salvage that was killed may have left the new file beside the place of the old one
    there = path if path.exists() else new_file_of(path)
    if not there.exists():
        tell_of_leftovers(configuration, leftovers(path))
        raise missing(path)
    check_openable(there)
    check_database(there)
    refuse_stranger(there)
    if not mends:
        refuse_damaged(there)
        if is_unused(there):
            raise missing(path)
    api_url, fingerprint = owner_of(there) or (None, None)
    if api_url is None or fingerprint is None:
        options = configuration.options(queue_path=path)
        api_url, fingerprint = options.api_url, options.key_fingerprint
    outbox = Outbox(
        path,
        api_url=api_url,
        key_fingerprint=fingerprint,
        allow_network_filesystem=True,
        mends=mends,
    )
    try:
        yield outbox
    finally:
        tell(outbox.pop_incidents())
        outbox.incidents_are_told()
        outbox.sender_lock.release()
        outbox.close()


class _Alone:
    """The listener of a command: another process sends, at any rate a later one."""

    def __init__(self, outbox: Outbox, batch_size: int) -> None:
        self._outbox = outbox
        self._batch_size = batch_size
        self._untold = 0

    def notice(self, events: int) -> None:
        """Whoever sends looks into the outbox by itself, and sooner if a batch's worth has come."""
        self._untold += events
        if self._untold >= self._batch_size:
            self._untold = 0
            knock_once(self._outbox)

    def make_room(self, timeout: float) -> bool:
        """Wait a moment; another process may be sending."""
        time.sleep(max(0.0, min(timeout, _POLL_SECONDS)))
        return True

    def postpone(self, error: SegOpsError) -> None:
        """Say it now."""
        tell([error])


@contextmanager
def workspace(configuration: Configuration) -> Iterator[Workspace]:
    """Open the outbox of the key, or make it, to store events in it."""
    options = configuration.options_of_outbox()
    clock = Clock()
    outbox = open_outbox(options, options.outbox_path, clock)
    intake = intake_of(options, outbox, users_of(options, outbox), clock)
    try:
        yield Workspace(outbox, intake, _Alone(outbox, options.batch_size), clock, options)
    finally:
        tell(outbox.pop_incidents())
        outbox.incidents_are_told()
        outbox.close()


def missing(path: Path) -> click.ClickException:
    """What to say where there is no outbox."""
    return click.ClickException(
        f"there is no outbox at {path}: nothing has been tracked there yet. "
        "Choose another with --queue-path; `segops-durable config` shows what is set"
    )
