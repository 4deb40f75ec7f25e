"""`run` from its start to its end: a client that sends what other processes append."""

from __future__ import annotations

from typing import TYPE_CHECKING

from segops_durable.cli.service.logs import note
from segops_durable.cli.service.signals import Signals
from segops_durable.cli.service.watch import Watch
from segops_durable.client import SegOpsClient, outbox_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from segops_durable.cli.service.manager import Manager
    from segops_durable.cli.service.reloading import Reloading
    from segops_durable.client import Options
    from segops_durable.delivery import FlushResult


def send_until_told(
    options: Options,
    manager: Manager,
    reloading: Reloading | None = None,
    early: Sequence[int] = (),
    *,
    timeout: float | None = None,
) -> FlushResult:
    """Send until SIGTERM or SIGINT; then make one last effort.

    Args:
        options: Of the client.
        manager: Who is told how it goes.
        reloading: What a SIGHUP does. Defaults to nothing.
        early: Those that have come already, of `hear_reloads`. Defaults to none.
        timeout: Seconds for the last effort. Defaults to the option `shutdown_timeout`.

    Raises:
        SegOpsError: The outbox cannot be opened.
    """
    with Signals(early) as signals:
        client = SegOpsClient.of(options)
        try:
            _serve(client, manager, reloading, signals)
        finally:
            manager.stopping()
            result = client.shutdown(timeout)
        note("stop", f"stopped: {result.pending:,} wait", waiting=result.pending)
    return result


def _serve(
    client: SegOpsClient, manager: Manager, reloading: Reloading | None, signals: Signals
) -> None:
    watch = Watch(client, manager)
    outbox, waiting = str(outbox_of(client).path), client.stats().pending
    note("start", f"sends what waits in {outbox}", outbox=outbox, waiting=waiting)
    manager.ready(watch.health().status)
    while not signals.is_over:
        watch.look()
        signals.wait(watch.interval)
        if signals.takes_reload() and not signals.is_over:
            manager.reloading()
            if reloading is not None:
                reloading.run(client.set_api_key)
            manager.ready(watch.health().status)
