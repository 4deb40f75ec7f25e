"""``NAME=VALUE``, as arguments and options have it."""

from __future__ import annotations


def name_and_value(text: str) -> tuple[str, str] | None:
    """The two sides of the first equals sign; None where there is none, or no name before it."""
    name, separator, value = text.partition("=")
    return (name, value) if separator and name else None
