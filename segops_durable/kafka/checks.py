"""What refuses an argument of `consume`."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, NoReturn

from segops_durable.client import SegOpsClient
from segops_durable.errors import ConfigurationError
from segops_durable.errors.plain_text import shown
from segops_durable.intake.imports import FieldMap

if TYPE_CHECKING:
    from segops_durable.kafka.cluster import Topic

_LARGEST_BATCH = 10_000


def check_client(client: object) -> None:
    """Refuse what is no client with a secret key.

    Raises:
        ConfigurationError: It is none.
    """
    if not isinstance(client, SegOpsClient):
        _refuse("client", "must be a SegOpsClient", client)
    if client._options.has_public_key:  # noqa: SLF001 - the same package
        # under a public one SegOps would take all events for those of one user
        raise ConfigurationError("api_key must be a secret key for this", field="api_key")


def checked_topics(topic: str | Sequence[str]) -> tuple[str, ...]:
    """The topics, each once.

    Raises:
        ConfigurationError: They are no names.
    """
    given: Any = (topic,) if isinstance(topic, str) else topic  # callers are not checked
    is_sequence = isinstance(given, Sequence) and not isinstance(given, bytes)
    if not is_sequence or not given or not all(isinstance(each, str) and each for each in given):
        _refuse("topic", "must be the name of a topic, or several", topic)
    return tuple(dict.fromkeys(given))


def check_values(given: dict[str, Any]) -> None:
    """Refuse the values of other arguments.

    Raises:
        ConfigurationError: One is not what it has to be.
    """
    for name, is_right, what in _RULES:
        if not is_right(given[name]):
            _refuse(name, what, given[name])
    if given["partitions"] is not None and given["share"] is not None:
        _refuse("share", "must be left out where partitions are given", given["share"])
    if given["to_event"] is not None and given["field_map"] is not None:
        problem = "field_map must be left out where to_event makes the events"
        raise ConfigurationError(problem, field="field_map")


def chosen(
    name: str, topic: Topic, partitions: Sequence[int] | None, share: tuple[int, int] | None
) -> list[int]:
    """The partitions of a topic that are this process's.

    Raises:
        ConfigurationError: One is not there.
    """
    if partitions is not None:
        missing = sorted(set(partitions) - set(topic.partitions))
        if missing:
            has = f"{name} has {len(topic.partitions)}"
            _refuse("partitions", f"must be there ({has})", missing)
        return sorted(set(partitions))
    index, count = share or (0, 1)
    return [number for number in topic.partitions if number % count == index]


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _is_share(value: object) -> bool:
    return value is None or (
        isinstance(value, tuple | list)
        and len(value) == 2  # noqa: PLR2004 - which, and of how many
        and all(map(_is_count, value))
        and value[0] < value[1]
    )


def _is_start(value: object) -> bool:
    if isinstance(value, datetime):
        return value.tzinfo is not None
    return value in {"earliest", "latest", "group"}


def _is_callable(value: object) -> bool:
    return value is None or (callable(value) and not inspect.iscoroutinefunction(value))


_CALLABLE = "must be callable, and no coroutine function"
_FLAG = "must be True or False"
_RULES: tuple[tuple[str, Any, str], ...] = (
    ("partitions", lambda value: value is None or (
        isinstance(value, Sequence) and len(value) > 0 and all(map(_is_count, value))
    ), "must be numbers of partitions, at least one"),
    ("share", _is_share, "must be this host's number, from 0, and how many hosts there are"),
    ("field_map", lambda value: value is None or isinstance(value, FieldMap),
     "must be a FieldMap"),
    ("to_event", _is_callable, _CALLABLE),
    ("start", _is_start, 'must be "earliest", "latest", "group" or a datetime with a zone'),
    ("on_gap", lambda value: value in {"raise", "skip"}, 'must be "raise" or "skip"'),
    ("on_reject", _is_callable, _CALLABLE),
    ("on_progress", _is_callable, _CALLABLE),
    ("max_errors", lambda value: value is None or _is_count(value),
     "must be a number of messages"),
    ("batch_size", lambda value: _is_count(value) and 0 < value <= _LARGEST_BATCH,
     f"must be an integer from 1 to {_LARGEST_BATCH}"),
    ("max_wait", lambda value: _is_number(value) and 0 < value <= 60,  # noqa: PLR2004 - a minute
     "must be a number of seconds, 60 at most"),
    ("timeout", lambda value: _is_number(value) and 0 < value <= 3600,  # noqa: PLR2004 - an hour
     "must be a number of seconds, 3600 at most"),
    ("until_end", lambda value: isinstance(value, bool), _FLAG),
    ("stop", lambda value: value is None or (hasattr(value, "is_set") and hasattr(value, "wait")),
     "must be a threading.Event"),
    ("cluster", lambda value: value is None or (
        isinstance(value, str) and value and ":" not in value
    ), "must be a name without a colon"),
)  # fmt: skip


def _refuse(name: str, problem: str, value: object) -> NoReturn:
    raise ConfigurationError(f"{name} {problem}, got {shown(value)}", field=name)
