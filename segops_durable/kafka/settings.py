"""How the library of Kafka is set up: what is given, and what has to be so for the guarantee."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from typing import Any, NamedTuple

from segops_durable.errors import ConfigurationError
from segops_durable.errors.plain_text import shown

_QUIET_SECONDS = 60.0


class _NowAndThen(logging.Filter):
    """Lets a line of librdkafka's pass once a minute of each kind: it has one for each attempt."""

    def __init__(self) -> None:
        super().__init__()
        self._quiet_until: dict[object, float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether a line is let pass."""
        kind = record.args[0] if isinstance(record.args, tuple) and record.args else record.msg
        now = time.monotonic()
        if now < self._quiet_until.get(kind, now):
            return False
        self._quiet_until[kind] = now + _QUIET_SECONDS
        return True


_log = logging.getLogger("segops_durable.kafka.librdkafka")
_log.addFilter(_NowAndThen())

_FIXED: dict[str, Any] = {
    "enable.auto.commit": False,  # the outbox has the offsets
    "enable.auto.offset.store": False,
    "auto.offset.reset": "error",  # or what was deleted unread would be passed over in silence
    "enable.partition.eof": True,  # tells the end, and what lies behind the last message
}
_DEFAULTS: dict[str, Any] = {
    "client.id": "segops-durable",
    "isolation.level": "read_committed",
    "queued.max.messages.kbytes": 16_384,  # memory, while the outbox is full or slow
}
_NO_GROUP = "segops-durable"
"""librdkafka makes no consumer without a group; nothing is committed for this one."""
_OF_CONSUMERS = (
    *("auto.", "check.crcs", "coordinator.", "enable.auto.", "enable.partition.eof", "fetch."),
    *("group.", "heartbeat.", "isolation.", "max.poll.", "on_commit", "partition.assignment."),
    *("queued.", "session.", "stats_cb", "statistics."),
)


class Settings(NamedTuple):
    """Settings of librdkafka, in three.

    Attributes:
        consumer: For what reads messages.
        admin: For what asks about topics; it would warn of a consumer's.
        has_group: Whether a group is to be told how far it is.
    """

    consumer: dict[str, Any]
    admin: dict[str, Any]
    has_group: bool


def settings_of(config: Mapping[str, Any]) -> Settings:
    """Complete what was given.

    Raises:
        ConfigurationError: It is no mapping of texts, names no broker, or says otherwise what has
            to be so.
    """
    given: object = config  # callers are not checked
    if not isinstance(given, Mapping) or not all(isinstance(name, str) for name in given):
        what = type(config).__name__  # its values may be passwords
        problem = f"config must be a dict of librdkafka's settings, got {what}"
        raise ConfigurationError(problem, field="config")
    if not config.get("bootstrap.servers") and not config.get("metadata.broker.list"):
        raise ConfigurationError('config must have "bootstrap.servers"', field="config")
    for name, value in _FIXED.items():
        found = config.get(name, value)
        if str(found).lower() != str(value).lower():
            problem = f"config must leave {name} at {str(value).lower()}, got {shown(found)}"
            hint = "The outbox keeps the offsets, in the transaction that stores the events"
            raise ConfigurationError(problem, field="config", hint=hint)
    whole = {**_DEFAULTS, "logger": _log, **config, **_FIXED}
    admin = {name: value for name, value in whole.items() if not name.startswith(_OF_CONSUMERS)}
    return Settings({"group.id": _NO_GROUP, **whole}, admin, has_group=bool(config.get("group.id")))
