"""What an event may carry, and its JSON. Whatever cannot be sent is named, by its path.

A payload is the caller's: its values may be of any type, and their methods may raise
anything. Nothing but an `InvalidEventError` comes of that.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from enum import Enum
from typing import Any
from uuid import UUID

from segops_durable.errors import InvalidEventError

_MAX_EXACT_INTEGER_DIGITS = 40
_MAX_DEPTH = 100


def plain_object(field: str, value: object) -> dict[str, Any]:
    """A mapping as a dict; None is an empty one.

    Raises:
        InvalidEventError: It is no mapping: also 0, False, "" and a DataFrame are none.
    """
    if value is None:
        return {}
    try:
        if isinstance(value, dict):
            return value
        found = dict(value) if isinstance(value, Mapping) else None
    except Exception as error:
        raise InvalidEventError(field, f"cannot be read ({words_of(error)})", value) from error
    if found is None:
        raise InvalidEventError(field, "must be a dict", value)
    return found


def encode_with(field: str, document: dict[str, Any]) -> bytes:
    """Encode a document, of which one field is the caller's and anything may be in it.

    Raises:
        InvalidEventError: Something in that field cannot be sent; `field` says where.
    """
    try:
        _check_keys(document[field])
        return _encoder.encode(document).encode()
    except MemoryError:
        raise
    except Exception as error:
        raise _blamed(field, document[field], error) from error


def encode_text(text: str) -> bytes:
    """A text as it is within an encoded event, quotes included."""
    return _encoder.encode(text).encode()


def is_unicode(text: str) -> bool:
    """Whether a text can be encoded: it has no lone surrogate."""
    try:
        str.encode(text)
    except UnicodeEncodeError:
        return False
    return True


def words_of(error: BaseException) -> str:
    """What an error says, or else what it is; its own `__str__` may be broken."""
    try:
        text = str(error)
    except Exception:  # noqa: BLE001 - as it says
        text = ""
    return text or type(error).__name__


def _json_value(value: object) -> object:
    """What to send for a value that JSON has no form of; called by the encoder."""
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, datetime | date):
        return _iso_text(value)
    if isinstance(value, UUID):
        return str(value)
    if isinstance(value, Decimal):
        return _number(value)
    if isinstance(value, Mapping):
        found = dict(value)
        _check_keys(found)
        return found
    raise TypeError(f"{type(value).__name__} is not JSON")


def _iso_text(value: date) -> str:
    """A date or a time as text; what is not a time says so there: "NaT"."""
    text = value.isoformat()
    if not text[:1].isdigit():
        raise ValueError("not a time")
    return text


def _number(value: Decimal) -> int | float:
    """The number that a JSON reader would make of the decimal's digits."""
    if not value.is_finite():
        raise ValueError("not a finite number")
    is_exact_integer = value == value.to_integral_value()
    if is_exact_integer and value.adjusted() < _MAX_EXACT_INTEGER_DIGITS:
        return int(value)
    return float(value)


_encoder = json.JSONEncoder(
    ensure_ascii=False, allow_nan=False, separators=(",", ":"), default=_json_value
)


def _check_keys(value: object) -> None:
    """Refuse keys that the encoder would turn into strings in silence: 1, None, True."""
    if isinstance(value, dict):
        for key, item in value.items():
            if not isinstance(key, str):
                raise TypeError("keys must be strings")
            if isinstance(item, dict | list | tuple):
                _check_keys(item)
    elif isinstance(value, list | tuple):
        for item in value:
            if isinstance(item, dict | list | tuple):
                _check_keys(item)


def _blamed(field: str, payload: object, error: Exception) -> InvalidEventError:
    """The error for the first thing that cannot be sent, or for all of it."""
    try:
        _find_culprit(field, payload, ())
    except InvalidEventError as found:
        return found
    except Exception as another:  # noqa: BLE001 - as above
        return _unreadable(field, payload, another)
    return _unreadable(field, payload, error)


def _unreadable(path: str, value: object, error: Exception) -> InvalidEventError:
    if isinstance(error, RuntimeError) and not isinstance(error, RecursionError):
        problem = f"cannot be read while another thread changes it ({words_of(error)})"
        return InvalidEventError(path, problem, value, hint="Hand over a copy")
    return InvalidEventError(path, f"cannot be sent ({words_of(error)})", value)


def _find_culprit(path: str, value: object, parents: tuple[int, ...]) -> None:
    """Raise for the first thing in `value` that cannot be sent; slow, for bad events only."""
    if id(value) in parents:
        raise InvalidEventError(path, "refers back to itself", type(value).__name__)
    if len(parents) > _MAX_DEPTH:
        raise InvalidEventError(path, f"is nested deeper than {_MAX_DEPTH}", type(value).__name__)
    if not isinstance(value, Mapping | list | tuple):
        _check_scalar(path, value)
        return
    for where, item in _entries(path, value):
        _find_culprit(where, item, (*parents, id(value)))


def _entries(path: str, value: Mapping[Any, Any] | Sequence[Any]) -> list[tuple[str, object]]:
    """What is in a mapping or a list, with the path of each."""
    try:
        if not isinstance(value, Mapping):
            return [(f"{path}[{index}]", item) for index, item in enumerate(value)]
        found = list(value.items())
    except Exception as error:  # noqa: BLE001 - as above
        raise _unreadable(path, value, error) from None
    for key, _ in found:
        if not isinstance(key, str):
            raise InvalidEventError(path, "keys must be strings", key)
        if not is_unicode(key):
            raise InvalidEventError(path, "a key has a lone surrogate", key)
    return [(f"{path}.{str.__str__(key)}", item) for key, item in found]


def _check_scalar(path: str, value: object) -> None:
    if isinstance(value, str) and not is_unicode(value):
        raise InvalidEventError(path, "has a lone surrogate", value)
    if isinstance(value, float) and not math.isfinite(value):
        raise InvalidEventError(path, "must be a finite number", value)
    try:
        _encoder.encode(value)
    except Exception as error:  # noqa: BLE001 - as above
        raise InvalidEventError(path, f"cannot be sent ({words_of(error)})", value) from None
