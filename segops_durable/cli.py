"""The command line: ``segops-durable COMMAND``."""

from __future__ import annotations

import sys

import click

from segops_durable._version import __version__

_SANDBOX_EXTRA = 'this command needs: pip install "segops-durable[sandbox]"'


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="segops-durable")
def run() -> None:
    """Keep SegOps events on disk until SegOps has accepted them."""


@run.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option(
    "--port", default=8787, show_default=True, type=click.IntRange(0, 65535), help="0 picks one."
)
@click.option(
    "--store",
    type=click.Path(dir_okay=False, writable=True),
    help="SQLite file for what was accepted. Defaults to a temporary one.",
)
def sandbox(host: str, port: int, store: str | None) -> None:
    """Run a local SegOps, to try things and to test against.

    \b
    Example:
      segops-durable sandbox --port 8787 --store accepted.db
      curl -X POST localhost:8787/_sandbox/faults -d '{"status": 503, "rate": 0.5}'
      curl localhost:8787/_sandbox/summary
    """  # noqa: D301 - \b is click's mark for lines to leave alone
    try:
        from segops_durable.sandbox import Sandbox  # noqa: PLC0415 - the extra may be missing
    except ModuleNotFoundError:
        raise click.ClickException(_SANDBOX_EXTRA) from None
    local = Sandbox(port, store, host=host)
    try:
        local.run(lambda: click.echo(f"SegOps sandbox on {local.url} - Ctrl-C stops it"))
    except OSError as error:
        raise click.ClickException(f"cannot listen on {host}:{port}: {error.strerror}") from None


@run.command()
def demo() -> None:
    """Watch 2,000 events survive two kills and an outage.

    A producer process is killed with SIGKILL twice while the server is taken away and
    brought back failing. Exit status 1 if anything is lost.

    \b
    Example:
      segops-durable demo
    """  # noqa: D301 - \b is click's mark for lines to leave alone
    try:
        from segops_durable.demo import run_demo  # noqa: PLC0415 - the extra may be missing
    except ModuleNotFoundError:
        raise click.ClickException(_SANDBOX_EXTRA) from None
    sys.exit(0 if run_demo() else 1)
