"""What librdkafka says besides messages: what is the matter, and what became of commits."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING

from confluent_kafka import KafkaError, KafkaException

if TYPE_CHECKING:
    from collections.abc import Callable

_log = logging.getLogger("segops_durable.kafka")
_QUIET_SECONDS = 60.0


class Heard:
    """Hears of errors, and of commits; it refers to nothing that librdkafka has, so that ends.

    Args:
        on_error: What the user wants to hear of errors with.
        on_commit: What the user wants to hear of commits with.

    Attributes:
        trouble: The last error, in words; empty if there was none.
        uncommitted: How many commits are under way.
    """

    def __init__(
        self,
        on_error: Callable[[KafkaError], object] | None,
        on_commit: Callable[..., object] | None,
    ) -> None:
        self._on_error = on_error
        self._on_commit = on_commit
        self._quiet_until: dict[int, float] = {}
        self.trouble: str = ""
        self.uncommitted: int = 0

    def error(self, error: KafkaError) -> None:
        """Hear of what goes wrong and may get well: librdkafka tries again."""
        self.trouble = words_of(error)
        now = time.monotonic()
        if now >= self._quiet_until.get(error.code(), now):  # it is tried again, and again
            self._quiet_until[error.code()] = now + _QUIET_SECONDS
            _log.warning("%s", self.trouble)
        if self._on_error is not None:
            self._on_error(error)

    def commit(self, error: KafkaError | None, parts: object) -> None:
        """Hear what became of a commit; nothing depends on it."""
        self.uncommitted -= 1
        if error is not None:
            _log.warning("the group's offsets are not committed: %s", words_of(error))
        if self._on_commit is not None:
            self._on_commit(error, parts)


def words_of(error: object) -> str:
    """What librdkafka says, without its numbers."""
    found = error.args[0] if isinstance(error, KafkaException) and error.args else error
    return found.str() if isinstance(found, KafkaError) else str(found)
