"""Values as they go into an event: typed where nothing is lost by it, and as text otherwise.

A double holds 15 digits of any number, and of longer ones only some. What it cannot hold stays
the text that a person sees.
"""

from __future__ import annotations

import base64
import json
import math
import re
from collections import Counter
from datetime import date, time
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any, Literal, NoReturn
from uuid import UUID

from segops_durable.errors import InvalidEventError

if TYPE_CHECKING:
    from collections.abc import Callable

Cast = Literal["text", "integer", "number", "boolean", "json", "time"]
"""The type of a column, where the file does not say it or is to be read otherwise."""

Nan = Literal["null", "reject"]
"""What becomes of NaN, which JSON does not have: null, or its record is rejected."""

NAN = "values are NaN, and stored as null"
"""What is counted of them."""

_INTEGER = re.compile(r"-?(0|[1-9][0-9]*)")
_DECIMAL = re.compile(r"-?(0|[1-9][0-9]*)\.[0-9]+")
_OF_A_PROGRAM = re.compile(r"-?[1-9](\.[0-9]+)?e[+-][0-9]+")  # 12E4 is an article's number
_NUMBER = re.compile(r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]{1,6})?")
_LONGEST_NUMBER = 40
_SURE_LENGTH = 16  # 15 digits and a point
_LARGEST_INTEGER = 1 << 53  # beyond it a reader with doubles, as JavaScript's, takes another one
_PLAIN = frozenset({str, int, bool, type(None)})
_TRUTHS = {"true": True, "t": True, "yes": True, "y": True, "1": True} | {
    "false": False, "f": False, "no": False, "n": False, "0": False
}  # fmt: skip


def typed(text: str) -> object:
    """A text as JSON would have it, if that says the same: a number, true, false or null."""
    if not text:
        return None
    if text[0] in "-0123456789":
        return _number_or_text(text) if len(text) <= _LONGEST_NUMBER else text
    return {"true": True, "false": False}.get(text.lower(), text) if text[0] in "tTfF" else text


def double_or_text(text: str) -> float | str:
    """A double that is the same number as a text's; or that text, where there is none.

    Raises:
        ValueError: It is larger than any double.
    """
    number = float(text)
    if math.isinf(number):
        raise ValueError(f"{text[:_LONGEST_NUMBER]} is larger than any number that can be sent")
    if len(text) <= _SURE_LENGTH and "e" not in text and "E" not in text:
        return number  # with an exponent, 1e-324 would be 0
    exact = Decimal(text)
    # what programs write of a double: the shortest digits, 17 of them, or all that it has
    written = (Decimal(repr(number)), Decimal(f"{number:.17g}"), Decimal(number))
    return number if exact in written else text


def plain(value: object, nan: Nan, tally: Counter[str]) -> object:
    """A value as JSON has it, with all that is in it.

    Args:
        value: The value.
        nan: What becomes of NaN: ``null``, which is counted, or ``reject``.
        tally: Where it is counted.

    Raises:
        ValueError: There is no such value in JSON.
    """
    kind = type(value)
    if kind in _PLAIN:
        return value
    if isinstance(value, dict):
        return {name: plain(item, nan, tally) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item, nan, tally) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        _check_nan(value, nan, tally)
        return None
    for type_, form in _FORMS:
        if isinstance(value, type_):
            return form(value)
    raise ValueError(f"{kind.__name__} is no type of JSON")


def text_of(value: object) -> str:
    """A value as text: bytes as the UTF-8 that they are, what has parts as JSON.

    Raises:
        ValueError: The bytes are no UTF-8.
    """
    if isinstance(value, str):
        return value
    if isinstance(value, bytes):
        return value.decode()
    if isinstance(value, Decimal):
        return format(value, "f")
    made = plain(value, "reject", Counter())
    return made if isinstance(made, str) else json.dumps(made, ensure_ascii=False)


def cast(value: object, to: Cast, nan: Nan, tally: Counter[str]) -> object:
    """A value as another type; null stays null, and so does an empty text but as ``text``.

    Args:
        value: The value.
        to: Which, but for ``time``.
        nan: As for `plain`.
        tally: As for `plain`.

    Raises:
        ValueError: It is none of that type.
    """
    if value is None or (value == "" and to != "text"):
        return None
    if to == "text":
        return text_of(value)
    if to == "json":
        return _json(value)
    if to == "boolean":
        return _boolean(value)
    return _number(value, to, nan, tally)


def _number_or_text(text: str) -> object:
    if _INTEGER.fullmatch(text):
        number = int(text)
        is_kept = abs(number) <= _LARGEST_INTEGER and text != "-0"
        return number if is_kept else text
    if _DECIMAL.fullmatch(text) or _OF_A_PROGRAM.fullmatch(text):
        try:
            return double_or_text(text)
        except ValueError:
            return text
    return text


def _of_decimal(value: Decimal) -> int | float | str:
    if not value.is_finite():
        raise ValueError(f"{value} is no number of JSON")
    if value == value.to_integral_value() and value.adjusted() < _LONGEST_NUMBER:
        return int(value)
    return double_or_text(format(value, "f"))


_FORMS: tuple[tuple[type | tuple[type, ...], Callable[[Any], object]], ...] = (
    (float, float),
    (bytes, lambda value: base64.b64encode(value).decode()),
    (Decimal, _of_decimal),
    ((date, time), lambda value: value.isoformat()),
    (UUID, str),
)


def _check_nan(value: float, nan: Nan, tally: Counter[str]) -> None:
    """Count a NaN that becomes null; refuse one that must not, and what is infinite."""
    if not math.isnan(value):
        raise ValueError(f"{value} is no number of JSON")
    if nan == "reject":
        raise ValueError("NaN is no number of JSON")
    tally[NAN] += 1


def _boolean(value: object) -> bool:
    if isinstance(value, bool):
        return value
    found = _TRUTHS.get(value.lower() if isinstance(value, str) else str(value))
    if found is None:
        raise ValueError("is neither true nor false")
    return found


def _json(value: object) -> object:
    if not isinstance(value, str | bytes):
        return value
    try:
        return json.loads(value, parse_float=double_or_text, parse_constant=_refuse)
    except RecursionError:
        raise ValueError("is JSON that is nested too deep") from None


def _number(value: object, to: Cast, nan: Nan, tally: Counter[str]) -> int | float | None:
    if isinstance(value, bool) or not isinstance(value, str | int | float | Decimal):
        raise ValueError(f"is no {to}")  # noqa: TRY004 - of the file, not of a caller
    text = str(value)
    if text.lower() == "nan":
        _check_nan(math.nan, nan, tally)
        return None
    try:
        exact = Decimal(text) if _NUMBER.fullmatch(text) else None
    except InvalidOperation:
        exact = None
    if exact is None:
        raise ValueError(f"is no {to}")
    is_whole = exact.adjusted() < _LONGEST_NUMBER and exact == exact.to_integral_value()
    if to == "integer":
        if not is_whole:
            raise ValueError("is no integer")
        return int(exact)
    is_written_whole = is_whole and _INTEGER.fullmatch(text.lstrip("+"))
    number: int | float = int(exact) if is_written_whole else float(exact)
    if math.isinf(number):
        raise ValueError("is larger than any number that can be sent")
    return number


def _refuse(text: str) -> NoReturn:
    raise ValueError(f"{text} is no number of JSON")


def entries_of(payload: Any) -> dict[str, Any] | None:  # noqa: ANN401 - whatever the column has
    """The entries of a payload column, of which a text is JSON; None if it is no object."""
    found = payload
    if isinstance(payload, str | bytes):
        try:
            found = _json(payload) if payload.strip() else {}
        except ValueError:
            return None
    return found if isinstance(found, dict) else None


def id_text(name: str, value: object) -> object:
    """An id as text, where nothing but its text can be meant; anything else as it is.

    Raises:
        InvalidEventError: It is binary.
    """
    if isinstance(value, bytes):
        problem = "is binary; cast it to text, if it is UTF-8"
        raise InvalidEventError(name, problem, value)
    is_whole = isinstance(value, Decimal) and value.as_tuple().exponent == 0
    return str(value) if is_whole else value  # databases have ids of numeric(20, 0)


def tried(name: str, value: object, make: Any) -> Any:  # noqa: ANN401 - whatever is made
    """What is made of a value.

    Args:
        name: The column that it is of.
        value: The value, as an error is to show it.
        make: Makes something of it.

    Raises:
        InvalidEventError: It cannot be made; the error names the column.
    """
    try:
        return make()
    except InvalidEventError:
        raise
    except (ValueError, RecursionError) as error:
        raise InvalidEventError(name, str(error), value) from None
