"""What refuses an option: a value that it cannot have."""

from __future__ import annotations

import inspect
import math
import os
import re
from pathlib import Path
from typing import NoReturn

from segops_durable.errors import ConfigurationError
from segops_durable.errors.plain_text import shown

LARGEST = 1 << 62
"""The largest number that an option may be: SQLite's own, with room to add to it."""

_KEY = re.compile(r"(?:sk|pk)_[A-Za-z0-9_.~+/=-]+")
_LONGEST_WAIT = 86_400.0 * 365


def check_timeout(value: float | None) -> None:
    """Refuse a time to wait that is none; any number of seconds is one, and None.

    Raises:
        ConfigurationError: It is no number, or one that no clock can count with.
    """
    try:
        is_number = value is None or not math.isnan(value)
    except (TypeError, OverflowError):
        is_number = False
    if not is_number:
        refuse("timeout", "must be a number of seconds", value)


def checked_path(value: str | os.PathLike[str] | None, name: str = "queue_path") -> Path | None:
    """Make a path absolute, so that a later chdir does not move the file.

    Raises:
        ConfigurationError: It is no path.
    """
    if value is None:
        return None
    try:
        path = Path(value).expanduser().absolute()
        os.fsencode(path)
    except (TypeError, ValueError):  # half of a surrogate pair is in no file's name
        refuse(name, "must be a path", value)
    except RuntimeError:  # of ~, where there is no such user, or none that has a home
        refuse(name, "must not be in a home directory that there is not", value)
    except OSError:
        refuse(name, "must be absolute, as the working directory is gone", value)
    if not str(value) or not path.name or "\0" in str(path):
        refuse(name, "must be the path of a file", value)
    return path


def masked(api_key: str) -> str:
    """A key as it may be shown: its kind, and nothing else."""
    return f"{api_key[:3]}…" if _KEY.fullmatch(api_key) else "…"


def refuse(name: str, problem: str, value: object) -> NoReturn:
    """Raise the error that names an option and shows the value that it cannot have."""
    raise ConfigurationError(f"{name} {problem}, got {shown(value)}", field=name)


def nothing_to_check(name: str, value: object) -> None:
    """Take any value."""


def check_key(name: str, api_key: object) -> None:
    """Refuse what cannot ingest; a key is never repeated."""
    if isinstance(api_key, str) and _KEY.fullmatch(api_key):
        return
    if isinstance(api_key, str) and api_key.startswith("mk_"):
        problem, hint = (
            "is a management key (mk_…)",
            "Management keys never ingest; use sk_… or pk_…",
        )
    else:
        problem, hint = "is malformed", "A key is sk_… or pk_…, without spaces or line breaks"
    raise ConfigurationError(f"{name} {problem}", field=name, hint=hint)


def check_integer(name: str, value: object, low: int, high: int) -> None:
    """Refuse what is no integer from `low` to `high`."""
    if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
        refuse(name, f"must be an integer from {low} to {high}", value)


def check_seconds(name: str, value: object, *, zero: bool) -> None:
    """Refuse what is no number of seconds to wait; 0 is one if `zero`."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if is_number and math.isfinite(value) and 0 <= value <= _LONGEST_WAIT and (zero or value):  # type: ignore[arg-type,operator]  # is_number says so
        return
    refuse(name, f"must be a {'' if zero else 'positive '}number of seconds", value)


def check_share(name: str, value: object) -> None:
    """Refuse what is no part of a whole: 0, or more, and less than 1."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not is_number or not 0 <= value < 1:  # type: ignore[operator]  # is_number says so
        refuse(name, "must be a number from 0 to less than 1", value)


def check_one_of(name: str, value: object, values: tuple[str, ...]) -> None:
    """Refuse what is none of some words."""
    if value not in values:
        *others, last = (f'"{each}"' for each in values)
        refuse(name, f"must be {', '.join(others)} or {last}", value)


def check_flag(name: str, value: object) -> None:
    """Refuse what is neither True nor False: the text "false" would count as true."""
    if not isinstance(value, bool):
        refuse(name, "must be True or False", value)


def check_callable(name: str, value: object) -> None:
    """Refuse what cannot be called, but for None."""
    if value is not None and not callable(value):
        refuse(name, "must be callable", value)


def check_plain_callable(name: str, value: object) -> None:
    """Refuse what `check_callable` refuses, and a coroutine function: nobody awaits it."""
    check_callable(name, value)
    if inspect.iscoroutinefunction(value):
        refuse(name, "must be no coroutine function", value)
