"""What kinds of options there are: how a value is checked, and how it is read from a text."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from segops_durable.client.checks import (
    LARGEST,
    check_callable,
    check_flag,
    check_integer,
    check_key,
    check_one_of,
    check_plain_callable,
    check_seconds,
    check_share,
    checked_path,
    nothing_to_check,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from dataclasses import Field


@dataclass(frozen=True, kw_only=True)
class Kind:
    """What the values of an option are.

    Attributes:
        check: Refuses a value that is none; it is given the option's name and the value.
        read: Makes a value of a text, as the environment has it; a ValueError or a KeyError
            says that it is none. Defaults to None: it is no option that can be written down.
        unit: What a number counts. Defaults to nothing.
    """

    check: Callable[[str, object], object]
    read: Callable[[str], Any] | None = None
    unit: str = ""


def kind_of(option: Field[Any]) -> Kind:
    """The kind that a field of `Options` was declared with."""
    kind: Kind = option.metadata["kind"]
    return kind


def number_of(unit: str, least: int, most: int = LARGEST, *, is_optional: bool = False) -> Kind:
    """An integer.

    Args:
        unit: What it counts.
        least: The smallest that it may be.
        most: The largest that it may be. Defaults to what SQLite can count.
        is_optional: Whether None is a value, too. Defaults to False.
    """

    def check(name: str, value: object) -> None:
        if value is not None or not is_optional:
            check_integer(name, value, least, most)

    return Kind(check=check, read=int, unit=unit)


def one_of(*values: str) -> Kind:
    """One of some words."""
    return Kind(check=lambda name, value: check_one_of(name, value, values), read=str)


def _flag(text: str) -> bool:
    return {"1": True, "true": True, "yes": True, "0": False, "false": False, "no": False}[
        text.strip().lower()
    ]


URL = Kind(check=nothing_to_check, read=str)
"""Checked with what it is allowed to be, by `Options` itself."""

KEY = Kind(check=check_key, read=str)
FLAG = Kind(check=check_flag, read=_flag)
PATH = Kind(check=nothing_to_check, read=checked_path)
"""Checked where it is made absolute, by `Options` itself."""

SHARE = Kind(check=check_share, read=float)
SECONDS = Kind(
    check=lambda name, value: check_seconds(name, value, zero=True), read=float, unit="seconds"
)
SECONDS_ABOVE_0 = Kind(
    check=lambda name, value: check_seconds(name, value, zero=False), read=float, unit="seconds"
)


def _check_some_seconds(name: str, value: object) -> None:
    if value is not None:
        check_seconds(name, value, zero=False)


SOME_SECONDS_ABOVE_0 = Kind(check=_check_some_seconds, read=float, unit="seconds")
"""None is a value, too."""

CALLABLE = Kind(check=check_callable)
PLAIN_CALLABLE = Kind(check=check_plain_callable)
OBJECT = Kind(check=nothing_to_check)
