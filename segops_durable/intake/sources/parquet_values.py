"""Values of Parquet as Python has them, column by column; and as text where Python has none.

Times are counted by Parquet, in units and ranges that Python's own do not have: nanoseconds are
kept, and a day of the year 20000 is a value that cannot be read, not the end of the import. So
they are read as the integers that they are. Whatever cannot be read costs its row alone.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from typing import TYPE_CHECKING, Any, NamedTuple
from uuid import UUID

from segops_durable.intake.mapping.values import text_of
from segops_durable.intake.sources.extras import pyarrow_module
from segops_durable.intake.sources.parquet_shown import as_it_is
from segops_durable.intake.sources.showing import Unreadable

if TYPE_CHECKING:
    from collections.abc import Callable

_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001 - the zone is written, or not, as the column has it
_DIGITS = {"s": 0, "ms": 3, "us": 6, "ns": 9}
_MICROSECONDS = 6
_DAY = 86_400


class BadRow(NamedTuple):
    """A row with values that cannot be read.

    Attributes:
        reason: Why.
        values: All of them by column, those as `Unreadable`.
    """

    reason: str
    values: dict[str, Any]


def rows_of(batch: Any) -> list[dict[str, Any] | BadRow]:  # noqa: ANN401 - of pyarrow
    """The rows of a batch, of which those with a value that cannot be read are bad."""
    names = batch.schema.names
    columns = [_column(column) for column in batch.columns]
    bad = {place for _, places in columns for place in places}
    rows: list[dict[str, Any] | BadRow] = []
    if not columns:
        return [{} for _ in range(batch.num_rows)]
    values = zip(*(column for column, _ in columns), strict=True)
    for place, row in enumerate(values):
        found = dict(zip(names, row, strict=True))
        rows.append(_bad(found) if place in bad else found)
    return rows


def _bad(row: dict[str, Any]) -> BadRow:
    """A row of which some values cannot be read."""
    unreadable = {
        name: value.reason for name, value in row.items() if isinstance(value, Unreadable)
    }
    reason = "; ".join(f"{name}: cannot be read: {why}" for name, why in unreadable.items())
    return BadRow(reason, row)


def _column(array: Any) -> tuple[list[Any], list[int]]:  # noqa: ANN401 - of pyarrow
    """The values of a column, and the places of those that cannot be read."""
    try:
        return _values(array), []
    except Exception:  # noqa: BLE001 - of any of its values, which are as many types as there are
        values = [_value(array.slice(place, 1)) for place in range(len(array))]
        bad = [place for place, value in enumerate(values) if isinstance(value, Unreadable)]
        return values, bad


def _value(one: Any) -> Any:  # noqa: ANN401 - of pyarrow
    try:
        return _values(one)[0]
    except Exception as error:  # noqa: BLE001 - as above
        return Unreadable(str(error) or type(error).__name__, as_it_is(one, _values)[0])


def _values(array: Any) -> list[Any]:  # noqa: ANN401 - of pyarrow
    """The values of an array, of which all can be read."""
    kind, types = array.type, pyarrow_module("pyarrow").types
    if hasattr(kind, "storage_type"):
        return _of_extension(array)
    if types.is_dictionary(kind) and not _is_known(kind.value_type):
        return _values(array.dictionary_decode())
    for is_it, read in _READERS.items():
        if getattr(types, is_it)(kind):
            return read(array)
    return list(array.to_pylist())


def _is_known(kind: Any) -> bool:  # noqa: ANN401 - of pyarrow
    types = pyarrow_module("pyarrow").types
    return not any(getattr(types, is_it)(kind) for is_it in _READERS)


def _of_extension(array: Any) -> list[Any]:  # noqa: ANN401 - of pyarrow
    values = _values(array.storage)
    if getattr(array.type, "extension_name", "") != "arrow.uuid":
        return values
    return [None if value is None else str(UUID(bytes=value)) for value in values]


def _of_struct(array: Any) -> list[Any]:  # noqa: ANN401 - of pyarrow
    names = [each.name for each in array.type]
    if len(set(names)) < len(names):
        raise ValueError(f"a structure has two fields of one name: {', '.join(names)}")
    fields = [_values(array.field(place)) for place in range(len(names))]
    rows = zip(*fields, strict=True) if fields else iter([()] * len(array))
    is_valid = array.is_valid().to_pylist()
    return [
        dict(zip(names, row, strict=True)) if is_there else None
        for is_there, row in zip(is_valid, rows, strict=True)
    ]


def _of_list(array: Any) -> list[Any]:  # noqa: ANN401 - of pyarrow
    ends = array.offsets.to_pylist()  # of a slice, too, they count from the first of all values
    start = ends[0]
    values = _values(array.values.slice(start, ends[-1] - start))
    is_valid = array.is_valid().to_pylist()
    return [
        values[first - start : last - start] if is_there else None
        for is_there, (first, last) in zip(is_valid, pairwise(ends), strict=True)
    ]


def _of_fixed_list(array: Any) -> list[Any]:  # noqa: ANN401 - of pyarrow
    pyarrow = pyarrow_module("pyarrow")
    return _of_list(array.cast(pyarrow.list_(array.type.value_type)))


def _of_map(array: Any) -> list[Any]:  # noqa: ANN401 - of pyarrow
    return [None if entries is None else _object(entries) for entries in _of_list(array)]


def _object(entries: list[dict[str, Any]]) -> dict[str, Any]:
    """An object of a map's entries, whose keys are texts then."""
    found: dict[str, Any] = {}
    for entry in entries:
        key, value = entry.values()
        name = text_of(key)
        if name in found:
            raise ValueError(f"a map has the key {name!r} twice")
        found[name] = value
    return found


def _counted(to: str, make: Callable[[Any, int], object]) -> Callable[[Any], list[Any]]:
    """What reads a column of integers, and makes something of each."""

    def read(array: Any) -> list[Any]:  # noqa: ANN401 - of pyarrow
        counts = array.cast(to).to_pylist()
        return [None if count is None else make(array.type, count) for count in counts]

    return read


def _timestamp(kind: Any, count: int) -> str:  # noqa: ANN401 - of pyarrow
    zone = "+00:00" if kind.tz else ""
    return f"{_moment(count, _DIGITS[kind.unit], 'T')}{zone}"


def _time(kind: Any, count: int) -> str:  # noqa: ANN401 - of pyarrow
    digits = _DIGITS[kind.unit]
    if not 0 <= count < _DAY * 10**digits:
        raise ValueError(f"{count} {kind.unit} are no time of a day")
    return _moment(count, digits, "T").partition("T")[2]


def _duration(kind: Any, count: int) -> int | Decimal:  # noqa: ANN401 - of pyarrow
    """Seconds, with all their digits."""
    digits = _DIGITS[kind.unit]
    seconds, rest = divmod(count, 10**digits)
    return seconds if not rest else Decimal(count).scaleb(-digits)


def _moment(count: int, digits: int, separator: str) -> str:
    """A time since 1970 as ISO 8601, to the microsecond, or the nanosecond where it has some."""
    seconds, rest = divmod(count, 10**digits)
    nanoseconds = f"{rest * 10 ** (9 - digits):09d}"
    is_exact = nanoseconds[_MICROSECONDS:] == "000"
    fraction = nanoseconds[:_MICROSECONDS] if is_exact else nanoseconds
    return f"{_since(seconds=seconds).isoformat(separator)}{f'.{fraction}' if rest else ''}"


def _since(**time: int) -> datetime:
    try:
        return _EPOCH + timedelta(**time)
    except OverflowError:
        raise ValueError("a time that is not of the years 1 to 9999") from None


_READERS: dict[str, Callable[[Any], list[Any]]] = {
    "is_timestamp": _counted("int64", _timestamp),
    "is_date32": _counted("int32", lambda _, days: _since(days=days).date().isoformat()),
    "is_date64": _counted("int64", lambda _, count: _since(milliseconds=count).date().isoformat()),
    "is_time32": _counted("int32", _time),
    "is_time64": _counted("int64", _time),
    "is_duration": _counted("int64", _duration),
    "is_float16": lambda array: list(array.cast("float32").to_pylist()),
    "is_struct": _of_struct,
    "is_map": _of_map,
    "is_list": _of_list,
    "is_large_list": _of_list,
    "is_fixed_size_list": _of_fixed_list,
}
"""By the name of what tells a type in `pyarrow.types`, what reads a column of it."""
