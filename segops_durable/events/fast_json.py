"""JSON by orjson, where it is installed: what `json` would write, in a tenth of the time.

What the two write differently is not left to orjson: whatever holds a value of any but JSON's
own types, a number that is not finite, a text that cannot be encoded or an integer beyond 64 bits
is written by `payloads`, or refused by it. One thing is left: a number whose `repr` has an
exponent, as 1e-05, is written in another way, as 0.00001. It is the same number to any reader.
"""

from __future__ import annotations

import math
from contextlib import suppress
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

write_json: Callable[[Any], bytes] | None = None
"""Writes what was read from JSON; None where orjson is not installed."""
read_json: Callable[[bytes], Any] | None = None
"""Reads JSON; likewise."""

with suppress(ImportError):  # also of one that was built for another machine
    import orjson

    write_json, read_json = orjson.dumps, orjson.loads

_SCALARS = frozenset({str, int, float, bool, type(None)})


def written_fast(document: dict[str, Any], payload: dict[str, Any]) -> bytes | None:
    """The bytes of a document; None where it takes a closer look.

    Args:
        document: It has nothing but texts, and the payload.
        payload: The part of it that is the caller's, in which anything may be.
    """
    if write_json is None:
        return None
    try:
        # an Enum that is a text as well is what orjson would write otherwise, without a word
        if not (_SCALARS.issuperset(map(type, payload.values())) or _is_plain(payload)):
            return None
        data = write_json(document)
        # NaN is null to it
        return data if b"null" not in data or _is_finite(payload) else None
    except (TypeError, ValueError, RuntimeError):  # also of a payload that another thread changes
        return None


def _is_plain(value: object) -> bool:
    kind = type(value)
    if kind is dict:
        parts: Iterable[object] = value.values()  # type: ignore[attr-defined]  # it is one
    elif kind is list or kind is tuple:
        parts = value  # type: ignore[assignment]  # likewise
    else:
        return kind in _SCALARS
    return all(map(_is_plain, parts))


def _is_finite(value: object) -> bool:
    kind = type(value)
    if kind is float:
        return math.isfinite(value)  # type: ignore[arg-type]  # it is one
    if kind is dict:
        return all(map(_is_finite, value.values()))  # type: ignore[attr-defined]  # likewise
    return kind not in {list, tuple} or all(map(_is_finite, value))  # type: ignore[call-overload]  # likewise
