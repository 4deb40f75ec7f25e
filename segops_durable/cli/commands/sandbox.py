"""`sandbox`: a local SegOps in the foreground."""

from __future__ import annotations

from contextlib import suppress

import click

from segops_durable.cli.command import SANDBOX_EXTRA
from segops_durable.cli.output import say


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option(
    "--port", default=8787, show_default=True, type=click.IntRange(0, 65535), help="0 picks one."
)
@click.option(
    "--store",
    type=click.Path(dir_okay=False, writable=True),
    help="SQLite file for what was accepted. Defaults to a temporary one.",
)
@click.option(
    "--plan",
    type=click.Choice(["none", "free", "starter", "business"]),
    default="none",
    show_default=True,
    help="Whose limit of calls a minute holds: 60, 300 or 1,000.",
)
def sandbox(host: str, port: int, store: str | None, plan: str) -> None:
    """Run a local SegOps.

    For trying things, and for tests of your own programs. What it receives is shown, and its faults
    are switched, on its page at /.

    \b
    Example:
      segops-durable sandbox --port 8787 --store accepted.db
      curl -X POST localhost:8787/_sandbox/faults -d '{"status": 503, "rate": 0.5}'
      curl localhost:8787/_sandbox/summary
    """
    try:
        from segops_durable.sandbox import Sandbox  # noqa: PLC0415 - the extra may be missing
    except ModuleNotFoundError:
        raise click.ClickException(SANDBOX_EXTRA) from None
    local = Sandbox(port, store, host=host)
    local.configure(plan=plan)
    try:
        with suppress(KeyboardInterrupt):  # as it was told to stop
            local.run(lambda: say(f"SegOps sandbox on {local.url} - Ctrl-C stops it"))
    except OSError as error:
        raise click.ClickException(f"cannot listen on {host}:{port}: {error.strerror}") from None
