"""What a line of a file of rejects said when it was written: so one that nobody mended is told."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_MENDED = (
    *("record", "record_base64", "values", "is_cut"),
    *("format", "header", "delimiter", "quote", "partitions", "mapping"),
)
"""What makes another record of it, if it is changed."""


def marks(document: Mapping[str, Any], unreadable: Iterable[str] = ()) -> dict[str, Any]:
    """What is written beside a record, to know later whether it was mended.

    Args:
        document: The line, as it is to be written.
        unreadable: Those of its values that have to be mended.
    """
    found: dict[str, Any] = {"written": _hash(_parts(document))}
    columns = {name: _hash(document["values"][name]) for name in unreadable}
    return {**found, "unreadable": columns} if columns else found


def check_is_mended(document: Mapping[str, Any]) -> None:
    """Refuse a record that says what it said when it was rejected.

    Raises:
        ValueError: It does; or a value does that no event can have.
    """
    if document.get("written") == _hash(_parts(document)):
        raise ValueError(
            f"{document.get('reason')}; it is not mended yet (if it is right as it is, take "
            "`written` out of its line)"
        )
    values, unreadable = document.get("values"), document.get("unreadable")
    if not isinstance(values, dict) or not isinstance(unreadable, dict):
        return
    for name, mark in unreadable.items():
        if name in values and _hash(values[name]) == mark:
            raise ValueError(f"{name}: is not mended yet")


def _parts(document: Mapping[str, Any]) -> dict[str, Any]:
    return {name: document[name] for name in _MENDED if name in document}


def _hash(value: object) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:16]
