"""What is asked of Kafka, and read of it."""

from __future__ import annotations

import logging
import time
from concurrent.futures import TimeoutError as Late
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NamedTuple

from confluent_kafka import (
    TIMESTAMP_NOT_AVAILABLE,
    Consumer,
    KafkaError,
    KafkaException,
    TopicCollection,
    TopicPartition,
)
from confluent_kafka.admin import AdminClient

from segops_durable.errors import ConfigurationError, KafkaStoppedError
from segops_durable.intake.messages import Message
from segops_durable.kafka.heard import Heard, words_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from segops_durable.kafka.settings import Settings

Key = tuple[str, int]
"""A topic and a partition."""

_log = logging.getLogger("segops_durable.kafka")
_NO_ID = "AAAAAAAAAAAAAAAAAAAAAA"  # 16 zeros in base64: of a broker that gives topics no ids
_NOT_THERE = {KafkaError.UNKNOWN_TOPIC_OR_PART, KafkaError.TOPIC_EXCEPTION}
_LAST_COMMIT_SECONDS = 2.0
_LIST_SECONDS = 5.0
"""For what is asked where the same cluster has not described a topic in its time."""
_SLICE = 50
_MOST_BYTES = 16 << 20
"""Messages may have a megabyte each, and a thousand times that is not to be held."""


class Topic(NamedTuple):
    """A topic, as its cluster has it now.

    Attributes:
        id: Its own, which it keeps as long as it is not deleted; empty where brokers have none
            (before Kafka 2.8), or do not say.
        partitions: Its partitions.
    """

    id: str
    partitions: tuple[int, ...]


class Cluster:
    """A Kafka cluster, and a consumer of it that is assigned its partitions by hand.

    Args:
        settings: How librdkafka is set up.
        timeout: Seconds that an answer may take.

    Raises:
        ConfigurationError: librdkafka does not know a setting, or refuses it.
    """

    def __init__(self, settings: Settings, timeout: float) -> None:
        self._timeout = timeout
        self._has_group = settings.has_group
        given = settings.consumer
        self._heard = Heard(given.get("error_cb"), given.get("on_commit"))
        heard = {"error_cb": self._heard.error}
        told = {"on_commit": self._heard.commit}
        try:
            self._consumer = Consumer({**given, **heard, **told})
            admin: dict[str, Any] = {**settings.admin, **heard}
            self._admin = AdminClient(admin)
        except (KafkaException, TypeError, ValueError) as error:
            raise ConfigurationError(f"config: {words_of(error)}", field="config") from error

    def id_of(self, topic: str) -> str | None:
        """The cluster's own id, which it keeps; None where its brokers give none.

        Raises:
            KafkaStoppedError: It does not answer.
        """
        listed = self._ask(topic, self._consumer.list_topics, topic, timeout=self._timeout)
        found: str | None = listed.cluster_id
        return found

    def topic(self, name: str, timeout: float | None = None) -> Topic:
        """What a topic is now.

        Raises:
            KafkaStoppedError: There is none of this name, or the cluster does not answer.
        """
        seconds = self._timeout if timeout is None else timeout
        self._admin.poll(0)  # what is due of its callbacks: logs, and tokens of OAuth
        wanted = TopicCollection([name])
        try:
            asked = self._admin.describe_topics(wanted, request_timeout=seconds)
            found = asked[name].result(seconds)
        except (KafkaException, Late) as error:
            if isinstance(error, KafkaException) and error.args[0].code() in _NOT_THERE:
                raise KafkaStoppedError("the topic is not there", topic=name) from error
            _log.debug("%s is not described: %s", name, error)
            return self._listed(name, min(seconds, _LIST_SECONDS))
        found_id = "" if found.topic_id is None else str(found.topic_id)
        partitions = tuple(sorted(each.id for each in found.partitions))
        return Topic("" if found_id == _NO_ID else found_id, partitions)

    def watermarks(self, key: Key) -> tuple[int, int]:
        """The first offset that is there, and the one that the next message will have.

        Raises:
            KafkaStoppedError: The cluster does not answer.
        """
        ask = self._consumer.get_watermark_offsets
        low, high = self._ask(key[0], ask, TopicPartition(*key), timeout=self._timeout)
        return low, high

    def offsets_at(self, keys: Iterable[Key], seconds: float) -> dict[Key, int]:
        """The first offsets whose messages are as new as a time; no key where none is.

        Raises:
            KafkaStoppedError: The cluster does not answer.
        """
        wanted = [TopicPartition(*key, int(seconds * 1000)) for key in keys]
        return self._offsets(self._consumer.offsets_for_times, wanted)

    def committed(self, keys: Iterable[Key]) -> dict[Key, int]:
        """The offsets that the group has committed; no key where it has none.

        Raises:
            KafkaStoppedError: The cluster does not answer.
        """
        return self._offsets(self._consumer.committed, [TopicPartition(*key) for key in keys])

    def assign(self, starts: Mapping[Key, tuple[int, int | None]]) -> None:
        """Read partitions, besides those that are read, or from elsewhere on.

        Args:
            starts: The offset of the next message, and the leader epoch of the last one.

        Raises:
            KafkaStoppedError: That cannot be.
        """
        known = {(each.topic, each.partition) for each in self._consumer.assignment()}
        again = [TopicPartition(*key) for key in starts if key in known]
        parts = [_at(key, *start) for key, start in starts.items()]
        topic = next(iter(starts))[0] if starts else ""
        if again:
            self._ask(topic, self._consumer.incremental_unassign, again)
        if parts:
            self._ask(topic, self._consumer.incremental_assign, parts)

    def read(self, most: int, seconds: float) -> list[Any]:
        """What comes within some seconds: messages, ends and errors.

        Raises:
            KafkaStoppedError: librdkafka cannot go on.
        """
        found: list[Any] = []
        end, size = time.monotonic() + seconds, 0
        while len(found) < most and size < _MOST_BYTES:
            left = max(0.0, end - time.monotonic())
            count = min(most - len(found), _SLICE)
            some = self._ask("", self._consumer.consume, count, timeout=left)
            if not some:
                break
            found += some
            size += sum(map(len, some))
        return found

    def commit(self, offsets: Mapping[Key, int]) -> None:
        """Tell the group how far it is, if there is one; nothing depends on it."""
        if not self._has_group or not offsets:
            return
        parts = [TopicPartition(*key, offset) for key, offset in offsets.items()]
        try:
            self._consumer.commit(offsets=parts, asynchronous=True)
            self._heard.uncommitted += 1
        except KafkaException as error:
            _log.warning("the group's offsets are not committed: %s", words_of(error))

    def close(self) -> None:
        """Let go of it, after a moment for the last commit."""
        with suppress(KafkaException, RuntimeError):
            assigned = self._consumer.assignment()
            if assigned:
                self._consumer.pause(assigned)
            end = time.monotonic() + _LAST_COMMIT_SECONDS
            while self._heard.uncommitted and time.monotonic() < end:
                self._consumer.poll(_LAST_COMMIT_SECONDS / 20)
        with suppress(KafkaException, RuntimeError):
            self._consumer.close()

    def _listed(self, name: str, seconds: float) -> Topic:
        """The same of brokers that describe no topic, and so have no ids to tell."""
        listed = self._ask(name, self._consumer.list_topics, name, timeout=seconds)
        found = listed.topics.get(name)
        if found is None or found.error is not None or not found.partitions:
            why = "the topic is not there" if found is None else "the topic has no partitions"
            why = words_of(found.error) if found is not None and found.error is not None else why
            raise KafkaStoppedError(why, topic=name)
        return Topic("", tuple(sorted(found.partitions)))

    def _offsets(
        self, ask: Callable[..., Sequence[TopicPartition]], wanted: list[TopicPartition]
    ) -> dict[Key, int]:
        if not wanted:
            return {}
        found: Sequence[TopicPartition] = self._ask(
            wanted[0].topic, ask, wanted, timeout=self._timeout
        )
        for each in found:
            if each.error is not None:
                raise KafkaStoppedError(
                    words_of(each.error), topic=each.topic, partition=each.partition
                )
        return {(each.topic, each.partition): each.offset for each in found if each.offset >= 0}

    def _ask(self, topic: str, ask: Callable[..., Any], *what: Any, **how: Any) -> Any:  # noqa: ANN401 - librdkafka's
        try:
            return ask(*what, **how)
        except KafkaException as error:
            self._admin.poll(0)  # hears of what has kept it from answering
            trouble = f"; before that: {self._heard.trouble}" if self._heard.trouble else ""
            raise KafkaStoppedError(f"{words_of(error)}{trouble}", topic=topic) from error


def message_of(found: Any) -> Message:  # noqa: ANN401 - of confluent_kafka, or of a user's own reading
    """A message as this package knows it."""
    kind, milliseconds = found.timestamp()
    return Message(
        found.topic(),
        found.partition(),
        found.offset(),
        found.leader_epoch(),
        found.key(),
        found.value(),
        found.headers() or (),
        None if kind == TIMESTAMP_NOT_AVAILABLE else milliseconds / 1000,
        found,
    )


def _at(key: Key, offset: int, epoch: int | None) -> TopicPartition:
    if epoch is None:
        return TopicPartition(*key, offset)
    return TopicPartition(*key, offset, leader_epoch=epoch)
