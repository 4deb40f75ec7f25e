"""A line of a file to load: anybody may have written it, and it is to be sent as it is.

Two things are asked of it. `read_line`: that it can be stored, and everything that the outbox
works with is of its type and range. `check_line`: that its event is one that `track` would have
taken, in the very form that `track` would have given it.
"""

from __future__ import annotations

import json
import re
import uuid
from typing import Any, NamedTuple, NoReturn

from segops_durable.errors import ConfigurationError, InvalidEventError
from segops_durable.events import Event, encode_event
from segops_durable.identity import KINDS, NO_IDENTITY, WHOEVER, identity_in, name_of
from segops_durable.system.clock import Moment

_OLD_FIELDS = ("source", "api_url", "id", "identity", "tracked_at", "uptime", "boot", "event")
_FIELDS = ("source", "generation", *_OLD_FIELDS[1:])  # the first versions had no generations
_EVENT = ("user_id", "event_type", "occurred_at", "payload")
_GENERATION = re.compile(r"[0-9a-f]{0,64}")
_START = b',"event":'
_LARGEST_INTEGER = (1 << 63) - 1
_LAST_SECOND = 253_402_300_799  # of the year 9999
_LONGEST_UPTIME = 1e10  # three hundred years


class ExportedLine(NamedTuple):
    """An event of another outbox.

    Attributes:
        uuid: That outbox's own.
        generation: Which run of its ids.
        api_url: The SegOps that it is for.
        id: Its id there.
        moment: When it was tracked there.
        identity: Whose it is.
        data: Its bytes, as they are sent.
    """

    uuid: str
    generation: str
    api_url: str
    id: int
    moment: Moment
    identity: str
    data: bytes

    @property
    def source(self) -> str:
        """What its id is of: an outbox, and there a generation."""
        return f"{self.uuid} {self.generation}".rstrip()


def read_line(line: bytes) -> ExportedLine:
    """Read a line.

    Raises:
        InvalidEventError: It is none that `export` writes; `field` says where.
    """
    found = _parsed(line)
    generation = found.get("generation", "")
    for name in ("source", "api_url", "identity"):
        if not isinstance(found[name], str):
            raise InvalidEventError(name, "must be a text", found[name])
    if not isinstance(generation, str) or not _GENERATION.fullmatch(generation):
        raise InvalidEventError("generation", "must be hexadecimal", generation)
    if not isinstance(found["event"], dict):
        raise InvalidEventError("event", "must be an object", found["event"])
    _check_identity(found["identity"])
    row_id = _integer("id", found["id"], 1)
    wall = _number("tracked_at", found["tracked_at"], _LAST_SECOND)
    moment = Moment(wall, *_since_boot(found["uptime"], found["boot"]))
    data = _data(line, found["event"])
    owner = found["source"], generation, found["api_url"]
    return ExportedLine(*owner, row_id, moment, found["identity"], data)


def check_line(line: ExportedLine, largest: int) -> None:
    """Check what is to be sent, as if it came from a caller.

    Args:
        line: The line.
        largest: Bytes of an event at most.

    Raises:
        InvalidEventError: `track` would not have taken or made it; `field` says where.
    """
    if not _is_uuid(line.uuid):
        raise InvalidEventError("source", "must be a UUID", line.uuid)
    if len(line.data) > largest:
        problem = f"must have at most {largest} bytes when encoded"
        raise InvalidEventError("event", problem, len(line.data), hint="See max_event_bytes")
    given: dict[str, Any] = json.loads(line.data)
    anonymous_id = given.get("anonymous_id")
    if "anonymous_id" in given and not (isinstance(anonymous_id, str) and anonymous_id):
        raise InvalidEventError("anonymous_id", "must be a non-empty string", anonymous_id)
    if not isinstance(given.get("occurred_at"), str):
        raise InvalidEventError("occurred_at", "must be a text", given.get("occurred_at"))
    event = Event(*(given.get(name) for name in _EVENT))  # type: ignore[arg-type]  # it is checked on encoding
    made: dict[str, Any] = json.loads(encode_event(event, anonymous_id=anonymous_id))
    if list(given) != list(made):  # `retimed` finds the time by its place
        raise InvalidEventError("event", f"must have {', '.join(made)}", list(given))
    for name, value in made.items():
        if given[name] != value:
            raise InvalidEventError(name, f"must be as it is sent, {value!r}", given[name])


def not_exported(name: str, number: int, error: InvalidEventError) -> ConfigurationError:
    """The error that names the file, the line and what is wrong with it."""
    return ConfigurationError(
        f"{name} has a line that `export` did not write: line {number}, {error.message}",
        field="file",
        hint=error.hint or "To bring in other files, use import",
    )


def _parsed(line: bytes) -> dict[str, Any]:
    try:
        found = json.loads(line.decode(), parse_constant=_refuse, object_pairs_hook=_object)
        json.dumps(found, ensure_ascii=False).encode()  # half a letter has no bytes of its own
    except (ValueError, RecursionError) as error:
        raise InvalidEventError("line", f"is no JSON ({error})", line) from None
    if not isinstance(found, dict) or tuple(found) not in {_FIELDS, _OLD_FIELDS}:
        raise InvalidEventError("line", f"must have {', '.join(_FIELDS)}", line)
    return found


def _data(line: bytes, event: dict[str, Any]) -> bytes:
    """The bytes as they were written: from the event on to the closing bracket."""
    start = line.find(_START) + len(_START)  # in a text its quotes are escaped
    data = line[start : line.rindex(b"}")]
    try:
        is_it = json.loads(data) == event
    except ValueError:
        is_it = False
    if not is_it:
        raise InvalidEventError("event", "must come last, without blanks", line)
    return data


def _since_boot(uptime: object, boot: object) -> tuple[float | None, int | None]:
    if uptime is None and boot is None:
        return None, None
    return _number("uptime", uptime, _LONGEST_UPTIME), _integer("boot", boot, 0)


def _check_identity(identity: str) -> None:
    whose = identity_in(identity)
    is_somebody = whose.startswith(KINDS) and name_of(whose)
    if not is_somebody and whose not in {NO_IDENTITY, WHOEVER}:
        raise InvalidEventError("identity", "must be a user's or a visitor's", identity)


def _integer(name: str, value: object, least: int) -> int:
    is_integer = isinstance(value, int) and not isinstance(value, bool)
    if not is_integer or not least <= value <= _LARGEST_INTEGER:  # type: ignore[operator]  # is_integer says so
        problem = f"must be an integer from {least} to {_LARGEST_INTEGER}"
        raise InvalidEventError(name, problem, value)
    return int(value)  # type: ignore[call-overload,no-any-return]  # as above


def _number(name: str, value: object, most: float) -> float:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not is_number or not 0 <= value <= most:  # type: ignore[operator]  # is_number says so
        raise InvalidEventError(name, f"must be a number from 0 to {most:.0f}", value)
    return float(value)  # type: ignore[arg-type]  # as above


def _is_uuid(text: str) -> bool:
    try:
        return str(uuid.UUID(text)) == text
    except ValueError:
        return False


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):  # of two of one name the server may take the other
        raise ValueError("an object has a name twice")
    return found


def _refuse(text: str) -> NoReturn:
    raise ValueError(f"{text} is no number of JSON")
