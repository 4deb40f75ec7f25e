"""The partitions that are this process's: begun, looked after, sorted out of what was read."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, Any, NamedTuple

from confluent_kafka import KafkaError

from segops_durable.errors import KafkaStoppedError
from segops_durable.kafka.checks import chosen
from segops_durable.kafka.cluster import message_of
from segops_durable.kafka.storing import Write

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from segops_durable.intake.messages import Message
    from segops_durable.kafka.cluster import Cluster, Key, Topic
    from segops_durable.kafka.places import Place, Places
    from segops_durable.kafka.storing import Storing

_log = logging.getLogger("segops_durable.kafka")

_BUSY_SECONDS = 1.0
"""Between two looks at a topic whose messages are stored: is it the same, has it grown?"""
_IDLE_SECONDS = 30.0
"""The same where none come, and after a look that failed."""
_LOOK_TIMEOUT = 5.0

_GAPS = {
    KafkaError._AUTO_OFFSET_RESET,  # noqa: SLF001 - librdkafka's own codes are written so
    KafkaError.OFFSET_OUT_OF_RANGE,
    KafkaError._LOG_TRUNCATION,  # noqa: SLF001
}
_PASSING = {
    KafkaError._ALL_BROKERS_DOWN,  # noqa: SLF001
    KafkaError._AUTHENTICATION,  # noqa: SLF001 - tokens run out, and are had anew
    KafkaError._MAX_POLL_EXCEEDED,  # noqa: SLF001 - of a group that is not joined
    KafkaError._RESOLVE,  # noqa: SLF001
    KafkaError._SSL,  # noqa: SLF001
    KafkaError._TIMED_OUT,  # noqa: SLF001
    KafkaError._TRANSPORT,  # noqa: SLF001
    KafkaError.BROKER_NOT_AVAILABLE,
    KafkaError.COORDINATOR_LOAD_IN_PROGRESS,
    KafkaError.COORDINATOR_NOT_AVAILABLE,
    KafkaError.GROUP_AUTHORIZATION_FAILED,  # it has the offsets for displays only
    KafkaError.LEADER_NOT_AVAILABLE,
    KafkaError.NETWORK_EXCEPTION,
    KafkaError.NOT_COORDINATOR,
    KafkaError.NOT_LEADER_FOR_PARTITION,
    KafkaError.REPLICA_NOT_AVAILABLE,
    KafkaError.REQUEST_TIMED_OUT,
}
"""What librdkafka gets over by itself."""


class Read(NamedTuple):
    """What was read, by partition.

    Attributes:
        messages: The messages, in their order.
        ends: The offset that is read next, of partitions that are at their end: behind the last
            message there may be what is none, as the marks of transactions.
        gaps: What librdkafka has said of partitions that it cannot go on with.
    """

    messages: dict[Key, list[Message]]
    ends: dict[Key, int]
    gaps: dict[Key, str]


class Partitions:
    """The partitions that are this process's.

    Args:
        cluster: Has them.
        places: How far each is.
        storing: Stores where they begin.
        partitions: Which; None for all, or a share of them.
        share: Which share: its number, and of how many.

    Attributes:
        places: How far each is.
    """

    def __init__(
        self,
        cluster: Cluster,
        places: Places,
        storing: Storing,
        partitions: Sequence[int] | None,
        share: tuple[int, int] | None,
    ) -> None:
        self._cluster = cluster
        self.places: Places = places
        self._storing = storing
        self._partitions = partitions
        self._share = share
        self._topics: dict[str, Topic] = {}
        self._at_end: set[Key] = set()
        self._looked_at = time.monotonic()
        self._has_failed = False

    @property
    def are_at_end(self) -> bool:
        """Whether each has been read to what was its end then."""
        return self._at_end >= set(self.places.current)

    def begin(self, topics: Mapping[str, Topic]) -> None:
        """Go on with all of them, or begin; where they begin is stored before anything is read.

        Raises:
            ConfigurationError: One that is asked for is not there.
            KafkaGapError: What follows is not there any more.
            KafkaStoppedError: The cluster does not answer.
            SegOpsError: It cannot be stored.
        """
        found: dict[Key, Place] = {}
        for name, topic in topics.items():
            known = {number for other, number in self.places.current if other == name}
            mine = chosen(name, topic, self._partitions, self._share)
            found |= self.places.begin(name, topic, [each for each in mine if each not in known])
            self._topics[name] = topic
        self._start(found)

    def sorted(self, found: Sequence[Any]) -> Read:
        """Sort out what was read.

        Raises:
            KafkaStoppedError: librdkafka cannot go on.
        """
        read = Read({}, {}, {})
        for each in found:
            key = (each.topic(), each.partition())
            error = each.error()
            place = self.places.current.get(key)
            if error is not None:
                self._sort_error(read, key, error, each.offset())
            elif place is not None and each.offset() >= place.offset:
                # one that is before its place was on its way when that was moved
                read.messages.setdefault(key, []).append(message_of(each))
        return read

    def look(self, *, is_busy: bool) -> set[Key]:
        """Look now and then whether a topic was made anew, or has got more partitions.

        librdkafka reads on in a topic that was deleted and made anew, from the offset of the old
        one: what is before that in the new one would be missed, and nobody would know.

        Returns:
            The partitions that go on elsewhere: what was read of them is not to be stored.

        Raises:
            KafkaGapError: A topic was made anew.
            SegOpsError: As `begin`.
        """
        is_due = is_busy and not self._has_failed
        pause = _BUSY_SECONDS if is_due else _IDLE_SECONDS
        if time.monotonic() - self._looked_at < pause:
            return set()
        moved: set[Key] = set()
        self._has_failed = False
        for name, before in self._topics.items():
            try:
                now = self._cluster.topic(name, _LOOK_TIMEOUT)
            except KafkaStoppedError as error:
                self._has_failed = True  # whatever is the matter, reading meets it as well
                _log.warning("%s", error)
                continue
            keys = [key for key in self.places.current if key[0] == name]
            if now.id and before.id and now.id != before.id:
                self._move(keys, now)
                moved |= {*keys}
            if now.id:
                self._topics[name] = now
            if self._partitions is None and len(now.partitions) > len(before.partitions):
                self.begin({name: now})
        self._looked_at = time.monotonic()
        return moved

    def go_on_at(self, gaps: Mapping[Key, str]) -> None:
        """Go on behind what was deleted, if that is what is asked for.

        Raises:
            KafkaGapError: It is not.
        """
        for key, told in gaps.items():
            name = key[0]
            topic = self._cluster.topic(name)
            self._topics[name] = topic
            self._start({key: self.places.checked(key, self.places.current[key], topic, told)})

    def _move(self, keys: Sequence[Key], topic: Topic) -> None:
        places = {key: self.places.checked(key, self.places.current[key], topic) for key in keys}
        self._start(places)

    def _start(self, places: Mapping[Key, Place]) -> None:
        """Store where partitions are, where the outbox says otherwise, and read them from there."""
        new = [
            Write(key, place)
            for key, place in places.items()
            if self.places.stored[key] != place.as_position()
        ]
        left = {each.key for each in new} - {each.key for each in self._storing.store(new)}
        ready = {key: place for key, place in places.items() if key not in left}
        self._cluster.assign({key: (place.offset, place.epoch) for key, place in ready.items()})
        self._cluster.commit({key: place.offset for key, place in ready.items()})
        self._at_end -= {*ready}

    def _sort_error(self, read: Read, key: Key, error: KafkaError, offset: int | None) -> None:
        code = error.code()
        if code == KafkaError._PARTITION_EOF:  # noqa: SLF001
            self._at_end.add(key)
            if offset is not None and offset >= 0:
                read.ends[key] = offset
        elif code in _GAPS and key in self.places.current:
            read.gaps[key] = error.str()
        elif error.fatal() or not (code in _PASSING or error.retriable()):
            topic, number = key
            raise KafkaStoppedError(
                error.str(),
                topic=topic or "",
                partition=number if topic else None,
                offset=offset if offset is not None and offset >= 0 else None,
            )
        else:
            _log.warning("%s", error.str())
