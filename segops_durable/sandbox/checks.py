"""Reading JSON objects into frozen dataclasses, with errors that name the field."""

from __future__ import annotations

from dataclasses import fields
from typing import Any, TypeVar

_T = TypeVar("_T")


class BadFieldError(ValueError):
    """A field of a request is unknown or wrong.

    Attributes:
        field: Its name.
        problem: What is wrong with it.
    """

    def __init__(self, field: str, problem: str) -> None:
        super().__init__(f"{field}: {problem}")
        self.field = field
        self.problem = problem


def read_fields(kind: type[_T], document: object) -> _T:
    """Make a dataclass of a JSON object, refusing what it has no field for.

    Raises:
        BadFieldError: The document is no object, or has an unknown field.
    """
    if not isinstance(document, dict):
        raise BadFieldError("body", "must be a JSON object")
    known = {field.name for field in fields(kind)}  # type: ignore[arg-type]  # always a dataclass
    for name in document:
        if name not in known:
            raise BadFieldError(str(name), f"is unknown; known are {', '.join(sorted(known))}")
    return kind(**document)


def check_number(field: str, value: Any, low: float, high: float) -> None:  # noqa: ANN401 - that is the check
    """Refuse anything but a number within bounds.

    Raises:
        BadFieldError: It is not one.
    """
    if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
        raise BadFieldError(field, f"must be a number from {low:g} to {high:g}, got {value!r}")
