"""Sending everything that waits, now: for `drain`, and for commands that end with it."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn

from segops_durable.cli.command import is_verbose, tell
from segops_durable.cli.output import bars_on_stderr, say
from segops_durable.client import SegOpsClient
from segops_durable.delivery import State
from segops_durable.errors import StorageError

if TYPE_CHECKING:
    from collections.abc import Callable

    from rich.progress import Progress, ProgressColumn

    from segops_durable.cli.configuration import Configuration
    from segops_durable.client import Options
    from segops_durable.delivery import Stats
    from segops_durable.errors import SegOpsError

_STEP_SECONDS = 0.25
_WORDS = {
    State.SENDING.value: "Nothing more was accepted in the time that there was.",
    State.GATED.value: "It is not the time to send: see --only-between.",
}

_PATIENCE_SECONDS = 1.0
"""Between two rounds that send nothing, where --timeout leaves time for more."""


@dataclass(frozen=True)
class Drained:
    """How a drain ended."""

    sent: int
    waiting: int
    dead: int
    seconds: float
    state: str
    error: str | None
    chain: str


def deliver(configuration: Configuration, *, timeout: float | None, is_told: bool = False) -> int:
    """Send what waits; return how many events still do, or became dead letters.

    Args:
        configuration: Says where, and with which key.
        timeout: Seconds at most; None for as long as it goes on.
        is_told: Say what happened, even if all went well. Defaults to False.
    """
    errors: list[SegOpsError] = []
    options = configuration.options_of_outbox(on_error=errors.append)
    result = drained(options, timeout, errors, is_shown=False)
    if is_told or result.waiting or result.dead:
        tell_drained(result)
    return result.waiting + result.dead


def drained(
    options: Options, timeout: float | None, errors: list[SegOpsError], *, is_shown: bool
) -> Drained:
    """Send what waits with a client of one's own.

    Args:
        options: The client's; it tells `errors` of what goes wrong.
        timeout: Seconds at most; None for as long as it goes on.
        errors: What went wrong, so far and in the end.
        is_shown: Whether a terminal has a bar of how it goes.
    """
    with SegOpsClient.of(replace(options, sends=True, shutdown_timeout=0.0)) as client:
        return emptied(client, timeout, errors, is_shown=is_shown)


def emptied(
    client: SegOpsClient,
    timeout: float | None,
    errors: list[SegOpsError],
    *,
    is_shown: bool,
    before: Stats | None = None,
) -> Drained:
    """Send what waits with a client that is there.

    Args:
        client: The client; it tells `errors` of what goes wrong.
        timeout: As of `drained`.
        errors: As of `drained`.
        is_shown: As of `drained`.
        before: How it stood when the count of what is sent began. Defaults to now.
    """
    start = time.monotonic()
    with bars_on_stderr(*_columns(), is_shown=is_shown) as progress:
        view = _View(client, progress, before or client.stats())
        stats = _send(client, view, None if timeout is None else start + timeout)
    tell(error for error in errors if isinstance(error, StorageError))
    return Drained(
        sent=view.sent(stats),
        waiting=stats.pending,
        dead=max(0, stats.dead - view.before.dead),
        seconds=round(time.monotonic() - start, 3),
        state=stats.state.value,
        error=str(errors[-1]) if errors else None,
        chain=getattr(errors[-1], "chain", "") if errors else "",
    )


def _columns() -> tuple[ProgressColumn, ...]:
    return (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]} a second"),
        TimeRemainingColumn(),
    )


class _View:
    """Shows how a drain goes.

    Attributes:
        before: How it stood in the beginning.
    """

    def __init__(self, client: SegOpsClient, progress: Progress, before: Stats) -> None:
        self.before = before
        self._client = client
        self._start = time.monotonic()
        self._progress = progress
        self._sent_before = self.sent(client.stats())
        self._task = progress.add_task("sending", total=None, rate="0")

    def sent(self, now: Stats) -> int:
        """How many events were accepted since."""
        return max(0, now.accepted_total - self.before.accepted_total)

    def renew(self) -> Stats:
        """Show how it stands now, and return that."""
        now = self._client.stats()
        sent = self.sent(now) - self._sent_before
        rate = f"{sent / max(0.001, time.monotonic() - self._start):,.0f}"
        is_other = now.state is State.STANDBY
        what = "another process is sending" if is_other else "sending"
        total = sent + now.pending
        self._progress.update(self._task, completed=sent, total=total, rate=rate, description=what)
        return now


def _send(client: SegOpsClient, view: _View, end: float | None) -> Stats:
    """Flush until nothing waits, or the time is up; without a time, until a round sends nothing."""
    stats = client.stats()
    while stats.pending:
        left = None if end is None else end - time.monotonic()
        if left is not None and left <= 0:
            break
        last, stats = stats, _flush(client, left, view.renew)
        if stats.accepted_total > last.accepted_total:
            continue
        if left is None:
            break
        time.sleep(min(_PATIENCE_SECONDS, max(0.0, left)))
    return stats


def _flush(client: SegOpsClient, timeout: float | None, show: Callable[[], Stats]) -> Stats:
    """Flush once, and show how it goes meanwhile; return how it stands then."""
    failures: list[Exception] = []

    def flush() -> None:
        try:
            client.flush(timeout)
        except Exception as error:  # noqa: BLE001 - of a thread it would be shown, and forgotten
            failures.append(error)

    # a daemon: the interpreter waits for all others at its end, and so a Ctrl-C would wait for
    # the answer to the request under way
    flushing = threading.Thread(target=flush, name="segops-drain", daemon=True)
    flushing.start()
    while flushing.is_alive():
        flushing.join(_STEP_SECONDS)
        show()
    if failures:
        raise failures[0]
    return show()


def tell_drained(result: Drained) -> None:
    """Say how a drain ended, and why it did where something is left."""
    say(f"{result.sent} sent in {result.seconds:.1f} s, {result.waiting} wait", err=True)
    tell_left(result)


def tell_left(result: Drained) -> None:
    """Say what is left after a drain, and why."""
    if result.dead:
        say(f"{result.dead} became dead letters: see `segops-durable dead list`", err=True)
    if result.waiting:
        why = _WORDS.get(result.state, f"The client is {result.state}.")
        say(why if result.state == State.GATED.value else result.error or why, err=True)
        if result.chain and is_verbose():
            say(result.chain, err=True)
