"""`sign`: a user id, signed with a public key's HMAC secret."""

from __future__ import annotations

import os
import sys

import click

from segops_durable.cli.output import print_json
from segops_durable.errors import ConfigurationError
from segops_durable.identity import sign_user_id

_SECRET_VARIABLE = "SEGOPS_HMAC_SECRET"  # noqa: S105 - the name of a variable

_LONGEST_SECRET = 1 << 16


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
    print_json(signed)


def _hmac_secret() -> str:
    secret = os.environ.get(_SECRET_VARIABLE)
    if secret is None and sys.stdin.isatty():
        secret = click.prompt("HMAC secret (hexadecimal)", hide_input=True, err=True)
    return (sys.stdin.readline(_LONGEST_SECRET) if secret is None else str(secret)).strip()
