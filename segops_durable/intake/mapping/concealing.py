"""What of a record must not reach the disk: columns that are dropped, or hashed with a secret."""

from __future__ import annotations

import hashlib
import hmac
import os
from typing import Any

from segops_durable.errors import ConfigurationError
from segops_durable.intake.mapping.values import text_of

VARIABLE = "SEGOPS_HASH_SECRET"


def secret_of(given: object) -> str:
    """The secret to hash with: the one given, or the environment's.

    Raises:
        ConfigurationError: There is none: without one, a hash of an address tells the address
            to whoever tries some.
    """
    secret = os.environ.get(VARIABLE, "") if given is None else given
    if not isinstance(secret, str) or not secret.strip():
        raise ConfigurationError(
            "hash_columns needs a secret",
            field="hash_secret",
            hint=f"Set the environment variable {VARIABLE}, and keep it: another one makes other "
            "hashes of the same values",
        )
    return secret


def hashed(value: Any, secret: str) -> str | None:  # noqa: ANN401 - whatever the column has
    """The HMAC-SHA256 of a value's text, in hexadecimal; null, or no text, stays null.

    Raises:
        ValueError: It has no text: it is an object, or a list.
    """
    if value is None or value == "":
        return None
    if isinstance(value, dict | list | tuple):
        raise ValueError("cannot be hashed, as it has parts")  # noqa: TRY004 - of the file, not of a caller
    return hmac.new(secret.encode(), text_of(value).encode(), hashlib.sha256).hexdigest()
