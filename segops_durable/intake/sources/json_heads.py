"""JSON that is no JSON Lines, told by its beginning."""

from __future__ import annotations

import json
import re

from segops_durable.errors import ConfigurationError
from segops_durable.intake.sources.encodings import MARK

_ARRAY = re.compile(r"\s*\[\s*([{\[\]]|$)")
_GOES_ON = re.compile(r'\s*["}]')


def is_json(head: bytes) -> bool:
    """Whether a text begins as JSON Lines do."""
    return head.removeprefix(MARK.encode()).lstrip()[:1] == b"{"


def check_is_json_lines(text: str, name: str, *, is_stream: bool) -> None:
    """Refuse one document over many lines, of which each would be rejected.

    Args:
        text: The beginning.
        name: Of the file.
        is_stream: Whether nothing says that it is JSON Lines at all.

    Raises:
        ConfigurationError: It is one.
    """
    head = text.removeprefix(MARK)
    if _ARRAY.match(head):
        raise ConfigurationError(
            f"{name} is one array of JSON, not an object a line",
            field="format",
            hint="Run: jq -c '.[]' FILE | segops-durable import -",
        )
    lines = [line for line in head.split("\n") if line.strip()]
    if len(lines) > 1 and _is_begun(lines[0]) and _GOES_ON.match(lines[1]):
        raise ConfigurationError(
            f"{name} is JSON over many lines, not an object a line",
            field="format",
            hint="Run: jq -c . FILE | segops-durable import -",
        )
    if is_stream and lines and not any(line.lstrip().startswith("{") for line in lines):
        raise ConfigurationError(
            f"{name} does not look like JSON Lines",
            field="format",
            hint="Say what it is: --format csv",
        )


def check_is_csv(text: str, name: str) -> None:
    """Refuse JSON under the name of CSV.

    Raises:
        ConfigurationError: It is.
    """
    first = text.removeprefix(MARK).lstrip().split("\n", 1)[0]
    try:
        is_object = first.startswith("{") and isinstance(json.loads(first), dict)
    except (ValueError, RecursionError):
        is_object = False
    if is_object:
        raise ConfigurationError(
            f"{name} is JSON, not CSV", field="format", hint="Say so: --format jsonl"
        )


def _is_begun(line: str) -> bool:
    """Whether a line begins an object and does not end it."""
    if not line.lstrip().startswith("{"):
        return False
    try:
        json.loads(line)
    except (ValueError, RecursionError):
        return True
    return False
