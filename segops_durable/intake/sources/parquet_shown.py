"""Values of Parquet that Python has no form of, as they are in the file: to be read and mended."""

from __future__ import annotations

import base64
from contextlib import suppress
from datetime import date, timedelta
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from segops_durable.intake.sources.extras import pyarrow_module
from segops_durable.intake.sources.showing import shown

if TYPE_CHECKING:
    from collections.abc import Callable

    Read = Callable[[Any], list[Any]]

_EPOCH = date(1970, 1, 1)
_CYCLE_DAYS, _CYCLE_YEARS = 146_097, 400  # after which the calendar is the same again
_DAY = 86_400


def as_it_is(array: Any, read: Read) -> list[Any]:  # noqa: ANN401 - of pyarrow
    """The values of an array as JSON has them, also where they cannot be read.

    Args:
        array: The array.
        read: Reads one of which all values can be read, and raises otherwise.
    """
    if len(array) != 1:
        return [as_it_is(array.slice(place, 1), read)[0] for place in range(len(array))]
    with suppress(Exception):  # whatever it is: it is shown otherwise
        return [shown(value) for value in read(array)]
    if hasattr(array.type, "storage_type"):
        return as_it_is(array.storage, read)
    types = pyarrow_module("pyarrow").types
    if types.is_dictionary(array.type):
        return as_it_is(array.dictionary_decode(), read)
    for is_it, show in _SHOWN.items():
        if getattr(types, is_it)(array.type):
            return [show(array, read)]
    return [str(array)]


def _pairs(array: Any, read: Read) -> list[Any]:  # noqa: ANN401 - of pyarrow
    """The entries of a map, of which one key may be there twice."""
    entries = _parts(array)
    keys, values = (as_it_is(entries.field(place), read) for place in (0, 1))
    return [list(pair) for pair in zip(keys, values, strict=True)]


def _structure(array: Any, read: Read) -> object:  # noqa: ANN401 - of pyarrow
    names = [each.name for each in array.type]
    values = [as_it_is(array.field(place), read)[0] for place in range(len(names))]
    pairs = zip(names, values, strict=True)
    return dict(pairs) if len(set(names)) == len(names) else [list(pair) for pair in pairs]


def _fixed_list(array: Any, read: Read) -> list[Any]:  # noqa: ANN401 - of pyarrow
    pyarrow = pyarrow_module("pyarrow")
    return as_it_is(_parts(array.cast(pyarrow.list_(array.type.value_type))), read)


def _parts(array: Any) -> Any:  # noqa: ANN401 - of pyarrow
    """What the only list of an array holds."""
    ((first, last),) = pairwise(array.offsets.to_pylist())
    return array.values.slice(first, last - first)


def _bytes(array: Any, _: Read) -> str:  # noqa: ANN401 - of pyarrow
    (data,) = array.cast("large_binary").to_pylist()
    return base64.b64encode(data).decode()


def _count(array: Any, to: str) -> int:  # noqa: ANN401 - of pyarrow
    (count,) = array.cast(to).to_pylist()
    return int(count)


def _timestamp(array: Any, _: Read) -> str:  # noqa: ANN401 - of pyarrow
    digits = {"s": 0, "ms": 3, "us": 6, "ns": 9}[array.type.unit]
    days, rest = divmod(_count(array, "int64"), _DAY * 10**digits)
    seconds, fraction = divmod(rest, 10**digits)
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    text = f"{_far_date(days)}T{hours:02d}:{minutes:02d}:{seconds:02d}"
    text += f".{fraction:0{digits}d}" if fraction else ""
    return f"{text}+00:00" if array.type.tz else text


def _time(array: Any, to: str) -> str:  # noqa: ANN401 - of pyarrow
    return f"{_count(array, to)} {array.type.unit}"


def _far_date(days: int) -> str:
    """A day since 1970 of any year, as ISO 8601 has those beyond 9999: with a sign."""
    cycles, rest = divmod(days, _CYCLE_DAYS)
    day = _EPOCH + timedelta(days=rest)
    return f"{day.year + cycles * _CYCLE_YEARS:+05d}-{day.month:02d}-{day.day:02d}"


_SHOWN: dict[str, Callable[[Any, Read], object]] = {
    "is_timestamp": _timestamp,
    "is_date32": lambda array, _: _far_date(_count(array, "int32")),
    "is_date64": lambda array, _: _far_date(_count(array, "int64") // (_DAY * 1000)),
    "is_time32": lambda array, _: _time(array, "int32"),
    "is_time64": lambda array, _: _time(array, "int64"),
    "is_string": _bytes,
    "is_large_string": _bytes,
    "is_binary": _bytes,
    "is_large_binary": _bytes,
    "is_struct": _structure,
    "is_map": _pairs,
    "is_list": lambda array, read: as_it_is(_parts(array), read),
    "is_large_list": lambda array, read: as_it_is(_parts(array), read),
    "is_fixed_size_list": _fixed_list,
}
"""By the name of what tells a type in `pyarrow.types`, what shows a value of it."""
