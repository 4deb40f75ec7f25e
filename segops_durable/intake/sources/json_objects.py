"""Reading JSON, fast where orjson is installed and the same without."""

from __future__ import annotations

import json
import re
from collections import Counter
from contextlib import suppress
from itertools import chain
from typing import TYPE_CHECKING, Any, NoReturn

from segops_durable.events import read_json as _read_fast
from segops_durable.intake.mapping.values import double_or_text

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_FRACTIONS = "|".join(rf"(?<=\d{{{count}}}\.)\d{{{18 - count}}}" for count in range(2, 18))
_LONG_NUMBER = re.compile(  # 19 digits; or 18 with a point, where a double has 17
    rf"\d{{19}}|\.(?:\d{{18}}|(?<=[1-9]\.)\d{{17}}|{_FRACTIONS})".encode()
)
_SHAPE = bytes.maketrans(b"0123456789.\t\r\n", b"0" * 11 + b" " * 3)
_MANY_DIGITS = b"0" * 19
_SPACED_COLON = b" :"


def read_object(line: bytes) -> tuple[dict[str, Any], bool]:
    """Read a JSON object; say as well whether `events.write_json` may write what it holds.

    Raises:
        ValueError: It is no object, has a key twice, or has a number or a text that JSON has no
            form of.
    """
    shape = line.translate(_SHAPE)
    has_long = _MANY_DIGITS in shape and _LONG_NUMBER.search(line)
    if _read_fast is None or has_long:  # which it would round
        return _object(read_strictly(line, double_or_text)), False
    document = _read_fast(line)
    if type(document) is not dict:
        document = _object(document)
    # perhaps of two keys of one name; a key whose colon stands apart from it is in no such count
    if _SPACED_COLON in shape or not _has_colons([document], line.count(b'":')):
        read_strictly(line, double_or_text)
    return document, True


def read_objects(lines: Sequence[bytes]) -> list[dict[str, Any] | None]:
    """Read lines as `read_object` does; None for each that `events.write_json` may not write.

    What is looked for in a line is looked for in all of them at once: as a rule none has it.
    """
    text = b"".join(lines)
    shape = text.translate(_SHAPE)
    if _read_fast is not None and _MANY_DIGITS not in shape and _SPACED_COLON not in shape:
        with suppress(ValueError):
            documents: list[dict[str, Any] | None] = [*map(_read_fast, lines)]
            # a line has as many colons as it has keys, or more: so has each, if all of them have
            if {*map(type, documents)} == {dict} and _has_colons(documents, text.count(b'":')):
                return documents
    return [*map(_safe_object, lines)]


def _safe_object(line: bytes) -> dict[str, Any] | None:
    """An object that `events.write_json` may write; None of any other line, bad or not."""
    try:
        document, is_safe = read_object(line)
    except (ValueError, RecursionError):
        return None
    return document if is_safe else None


def read_strictly(text: bytes, parse_float: Callable[[str], object] | None = None) -> Any:  # noqa: ANN401 - what JSON has
    """Read JSON in which no object has a name twice, and every number is one.

    Args:
        text: The JSON.
        parse_float: Makes a value of a number with a point. Defaults to the nearest double.

    Raises:
        ValueError: It is no such JSON.
        RecursionError: It is nested too deeply.
    """
    return json.loads(
        text,
        parse_float=parse_float,
        parse_constant=_refuse_constant,
        object_pairs_hook=_without_doubles,
    )


def _object(document: Any) -> dict[str, Any]:  # noqa: ANN401 - what JSON has
    if not isinstance(document, dict):
        what = type(document).__name__
        raise ValueError(f"a JSON object is expected, got {what}")  # noqa: TRY004 - the text is wrong, not a type
    return document


def _has_colons(documents: list[Any], colons: int) -> bool:
    """Whether documents have as many keys, with all that is in them."""
    count = sum(map(len, documents))
    parts = documents
    while count < colons and parts:
        objects = [part for part in parts if type(part) is dict]
        lists = [part for part in parts if type(part) is list]
        within = chain(*map(dict.values, objects), *lists)
        parts = [each for each in within if type(each) is dict or type(each) is list]
        count += sum(len(part) for part in parts if type(part) is dict)
    return count == colons


def _without_doubles(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object of its entries, of which none may hide another."""
    found = dict(pairs)
    if len(found) < len(pairs):
        name = next(name for name, count in Counter(name for name, _ in pairs).items() if count > 1)
        raise ValueError(f"the key {name!r} is there twice")
    return found


def _refuse_constant(text: str) -> NoReturn:
    raise ValueError(f"{text} is no number of JSON")
