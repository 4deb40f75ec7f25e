"""Reading and writing JSON, fast where orjson is installed and the same without."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, NoReturn

if TYPE_CHECKING:
    from collections.abc import Callable

try:
    import orjson
except ModuleNotFoundError:  # pragma: no cover - it is optional, and the tests have it
    write_json: Callable[[Any], bytes] | None = None
    _read_fast: Callable[[bytes], Any] | None = None
else:
    write_json, _read_fast = orjson.dumps, orjson.loads

_LONG_NUMBER = re.compile(rb"\d{19}")


def read_object(line: bytes) -> tuple[dict[str, Any], bool]:
    """Read a JSON object; say as well whether `write_json` may write what it holds.

    Raises:
        ValueError: It is no object, or has a number or a text that JSON has no form of.
    """
    is_fast = _read_fast is not None and not _LONG_NUMBER.search(line)  # which it would round
    if is_fast and _read_fast is not None:
        document = _read_fast(line)
    else:
        document = json.loads(line, parse_constant=_refuse_constant)
    if not isinstance(document, dict):
        what = type(document).__name__
        raise ValueError(f"a JSON object is expected, got {what}")  # noqa: TRY004 - the text is wrong, not a type
    return document, is_fast


def _refuse_constant(text: str) -> NoReturn:
    raise ValueError(f"{text} is no number of JSON")
