"""`sign`, `sandbox` and `demo`: for developers."""

from __future__ import annotations

import json
import os
import sys

import click

from segops_durable.errors import ConfigurationError
from segops_durable.signing import sign_user_id

_SECRET_VARIABLE = "SEGOPS_HMAC_SECRET"  # noqa: S105 - the name of a variable
_SANDBOX_EXTRA = 'this command needs: pip install "segops-durable[sandbox]"'


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
def sandbox(host: str, port: int, store: str | None) -> None:
    """Run a local SegOps.

    For trying things, and for tests of your own programs.

    \b
    Example:
      segops-durable sandbox --port 8787 --store accepted.db
      curl -X POST localhost:8787/_sandbox/faults -d '{"status": 503, "rate": 0.5}'
      curl localhost:8787/_sandbox/summary
    """
    try:
        from segops_durable.sandbox import Sandbox  # noqa: PLC0415 - the extra may be missing
    except ModuleNotFoundError:
        raise click.ClickException(_SANDBOX_EXTRA) from None
    local = Sandbox(port, store, host=host)
    try:
        local.run(lambda: click.echo(f"SegOps sandbox on {local.url} - Ctrl-C stops it"))
    except OSError as error:
        raise click.ClickException(f"cannot listen on {host}:{port}: {error.strerror}") from None


@click.command()
@click.argument("user_id")
@click.option("--ts", type=int, help="Unix time in seconds. Defaults to now.")
def sign(user_id: str, ts: int | None) -> None:
    """Sign a user id, as a backend does.

    Prints JSON for a UserContext. The key's HMAC secret is read from the environment variable
    SEGOPS_HMAC_SECRET or, if that is not set, from standard input: an argument could be seen by
    every process.

    \b
    Example:
      SEGOPS_HMAC_SECRET=$(cat secret.hex) segops-durable sign user-123
      segops-durable sign user-123 < secret.hex
    """
    try:
        signed = sign_user_id(_hmac_secret(), user_id, ts)
    except ConfigurationError as error:
        raise click.UsageError(f"the HMAC secret is wrong: {error}") from None
    click.echo(json.dumps(signed))


def _hmac_secret() -> str:
    secret = os.environ.get(_SECRET_VARIABLE)
    if secret is None and sys.stdin.isatty():
        secret = click.prompt("HMAC secret (hexadecimal)", hide_input=True, err=True)
    return (sys.stdin.readline() if secret is None else str(secret)).strip()


@click.command()
def demo() -> None:
    """Watch 2,000 events survive.

    A producer process is killed with SIGKILL twice while the server is taken away and brought
    back failing. Exit status 1 if anything is lost.

    \b
    Example:
      segops-durable demo
    """
    try:
        from segops_durable.demo import run_demo  # noqa: PLC0415 - the extra may be missing
    except ModuleNotFoundError:
        raise click.ClickException(_SANDBOX_EXTRA) from None
    sys.exit(0 if run_demo() else 1)
