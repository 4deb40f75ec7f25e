"""Where each partition goes on, and what it means if that is not there any more."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeAlias

from segops_durable.errors import KafkaGapError, KafkaStoppedError
from segops_durable.errors.plain_text import shown

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from segops_durable.intake import Listener
    from segops_durable.kafka.cluster import Cluster, Key, Topic
    from segops_durable.outbox import Outbox

Start: TypeAlias = Literal["earliest", "latest", "group"] | datetime
"""Where a topic is begun of which the outbox has no checkpoint."""
OnGap: TypeAlias = Literal["raise", "skip"]
"""What happens where messages were deleted before they were read."""

_HINT = 'on_gap="skip" goes on at the first message that is there, and reports what was lost'


class Place(NamedTuple):
    """How far a partition has been read.

    Attributes:
        offset: That of the message to read next.
        epoch: The leader epoch of the last one; None where that is not known. By it the broker
            tells that its log was truncated since.
        topic_id: The topic's own id; empty where brokers have none.
    """

    offset: int
    epoch: int | None
    topic_id: str

    def as_position(self) -> dict[str, Any]:
        """What is stored of it, as JSON has it."""
        return self._asdict()


class Places:
    """How far partitions have been read, by what is stored in the outbox.

    Args:
        outbox: Has the checkpoints.
        cluster: Says what is there.
        name: The cluster's name in checkpoints.
        start: Where a topic is begun that is new here.
        on_gap: What happens where messages were deleted.
        listener: Gives who hears of what is skipped.

    Attributes:
        current: The places, of the partitions that have begun.
        stored: What the outbox has of each; None where it has nothing yet.
        lost: Messages that were deleted before they were read, at most.
    """

    def __init__(
        self,
        outbox: Outbox,
        cluster: Cluster,
        name: str,
        *,
        start: Start,
        on_gap: OnGap,
        listener: Callable[[], Listener],
    ) -> None:
        self._outbox = outbox
        self._cluster = cluster
        self._name = name
        self._start = start
        self._on_gap = on_gap
        self._listener = listener
        self.current: dict[Key, Place] = {}
        self.stored: dict[Key, dict[str, Any] | None] = {}
        self.lost: int = 0

    def job(self, key: Key) -> str:
        """The name of a partition's checkpoint."""
        return f"{self._prefix(key[0])}{key[1]}"

    def begin(self, name: str, topic: Topic, partitions: Iterable[int]) -> dict[Key, Place]:
        """Find where partitions of a topic go on, or begin.

        Args:
            name: The topic's name.
            topic: What it is now.
            partitions: Which of it.

        Returns:
            The places; to be stored, where they are not what the outbox has.

        Raises:
            KafkaGapError: What follows is not there any more.
            KafkaStoppedError: The cluster does not answer, or a checkpoint is none of ours.
            StorageError: The outbox cannot be read.
        """
        prefix = self._prefix(name)
        positions = self._outbox.checkpoints.positions(prefix)
        keys = [(name, number) for number in partitions]
        new = [key for key in keys if self.job(key) not in positions]
        # a partition that was added since holds nothing that was there before it
        found = self._beginnings(new, topic, "earliest" if positions else self._start)
        for key in keys:
            if key not in found:
                place = _place_of(key, self.job(key), positions[self.job(key)])
                found[key] = self.checked(key, place, topic)
        for key in keys:
            self.stored[key] = positions.get(self.job(key))
            self.current[key] = found[key]
        return found

    def checked(self, key: Key, place: Place, topic: Topic, told: str = "") -> Place:
        """Where to go on from a place: there, or where what was skipped ends.

        Args:
            key: The partition.
            place: How far it was read.
            topic: What the topic is now.
            told: What librdkafka has said, if it cannot go on there.

        Raises:
            KafkaGapError: What follows is not there any more.
            KafkaStoppedError: The cluster does not answer.
        """
        low, high = self._cluster.watermarks(key)
        gap = _gap(key, place, topic, low, high)
        if gap is None and not told:
            return place._replace(topic_id=topic.id or place.topic_id)
        if gap is None:  # its log was cut off and written anew, up to here or further
            low = place.offset
            gap = _gap_error(key, place, f"Kafka cannot go on at offset {low}: {told}")
        if self._on_gap == "raise":
            raise gap
        gap.hint = ""
        self._listener().postpone(gap)
        self.lost += gap.lost or 0
        return Place(low, None, topic.id)

    def _beginnings(self, keys: list[Key], topic: Topic, start: Start) -> dict[Key, Place]:
        if isinstance(start, datetime):
            offsets = self._cluster.offsets_at(keys, start.timestamp())
        elif start == "group":
            offsets = self._cluster.committed(keys)
        else:
            offsets = {}
        found: dict[Key, Place] = {}
        for key in keys:
            low, high = self._cluster.watermarks(key)
            is_new_only = start == "latest" or isinstance(start, datetime)
            offset = offsets.get(key, high if is_new_only else low)
            found[key] = Place(min(max(offset, low), high), None, topic.id)
        return found

    def _prefix(self, topic: str) -> str:
        return f"kafka:{self._name}:{topic}:"


def _place_of(key: Key, job: str, position: Any) -> Place:  # noqa: ANN401 - JSON
    known: Mapping[str, Any] = position if isinstance(position, dict) else {}
    offset, epoch, topic_id = (known.get(name) for name in Place._fields)
    if type(offset) is not int or offset < 0:
        raise KafkaStoppedError(
            f"the checkpoint {job!r} has no offset: {shown(position)}",
            topic=key[0],
            partition=key[1],
            hint='Store one: client.track_many([], checkpoint=(NAME, {"offset": 42}))',
        )
    return Place(offset, epoch if type(epoch) is int else None, str(topic_id or ""))


def _gap(key: Key, place: Place, topic: Topic, low: int, high: int) -> KafkaGapError | None:
    if place.topic_id and topic.id and place.topic_id != topic.id:
        what = f"the topic was deleted and made anew since offset {place.offset} of the old one"
        return _gap_error(key, place, what)
    if place.offset < low:
        what = (
            f"messages from offset {place.offset} to {low - 1} were deleted before they were read"
        )
        return _gap_error(key, place, what, low - place.offset)
    if place.offset > high:
        what = (
            f"the next message has offset {high}, and {place.offset} was to be read: the topic "
            "was made anew, or has lost its end"
        )
        return _gap_error(key, place, what)
    return None


def _gap_error(key: Key, place: Place, what: str, lost: int | None = None) -> KafkaGapError:
    name, number = key
    return KafkaGapError(
        what,
        topic=name,
        partition=number,
        offset=place.offset,
        lost=lost,
        hint=_HINT,
    )
