"""JSON by orjson, where it is installed: what `json` would write, in a tenth of the time.

What the two write differently is not left to orjson: whatever holds a value of any but JSON's
own types, a number that is not finite, a text that cannot be encoded or an integer beyond 64 bits
is written by `payloads`, or refused by it. One thing is left: a number whose `repr` has an
exponent, as 1e-05, is written in another way, as 0.00001. It is the same number to any reader.
"""

from __future__ import annotations

from contextlib import suppress
from itertools import chain
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

write_json: Callable[[Any], bytes] | None = None
"""Writes what was read from JSON; None where orjson is not installed."""
read_json: Callable[[bytes], Any] | None = None
"""Reads JSON; likewise."""

_WRITTEN_ALIKE = {str, int, bool, type(None)}

with suppress(ImportError):  # also of one that was built for another machine
    import orjson

    def _write(value: object, newline: int = orjson.OPT_APPEND_NEWLINE) -> bytes:
        # what orjson gives is cut out of a KiB, of which the rest stays a hole: to keep thousands
        # of those takes ten times as long as to write them, and a copy next to nothing
        return orjson.dumps(value, None, newline)[:-1]

    write_json, read_json = _write, orjson.loads


def written_fast(document: dict[str, Any], payload: dict[str, Any]) -> bytes | None:
    """The bytes of a document; None where it takes a closer look.

    Args:
        document: It has nothing but texts, and the payload.
        payload: The part of it that is the caller's, in which anything may be.
    """
    try:
        if write_json is None or not _is_written_alike(payload.values()):
            return None
        return write_json(document)
    except (TypeError, ValueError, RuntimeError):  # also of a payload that another thread changes
        return None


def are_written_alike(payloads: Iterable[dict[str, Any]]) -> bool:
    """Whether orjson is here, and writes payloads as `json` does, or raises."""
    if write_json is None:
        return False
    values = [*chain.from_iterable(map(dict.values, payloads))]
    return {*map(type, values)} <= _WRITTEN_ALIKE or _is_written_alike(values)


def _is_written_alike(values: Iterable[object]) -> bool:
    """Whether orjson and `json` write values alike, or orjson raises.

    Of an Enum that is a text as well, orjson writes the value; of NaN, null; of a fragment, what
    may be no JSON.
    """
    for value in values:
        kind = type(value)
        if kind is str or kind is int or value is None or kind is bool:
            continue
        if kind is float:
            if value - value:  # type: ignore[operator]  # it is one; NaN, where it is not finite
                return False
        elif kind is dict:
            if not _is_written_alike(value.values()):  # type: ignore[attr-defined]  # it is one
                return False
        elif (kind is not list and kind is not tuple) or not _is_written_alike(value):  # type: ignore[arg-type]  # it is one
            return False
    return True
