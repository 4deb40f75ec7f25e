"""What is to be stored of what was read: the events, and the place after them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from segops_durable.errors import KafkaStoppedError
from segops_durable.kafka.storing import Write

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from segops_durable.intake.messages import Bad, Made, Maker, Message, Rejected
    from segops_durable.kafka.cluster import Key
    from segops_durable.kafka.partitions import Read
    from segops_durable.kafka.places import Places


class Rules(NamedTuple):
    """What becomes of messages that are no events.

    Attributes:
        rejected: The file of them.
        on_reject: Called with each.
        max_errors: How many may be; None for any number.
    """

    rejected: Rejected
    on_reject: Callable[[Any, str], object] | None
    max_errors: int | None


class Batch(NamedTuple):
    """What is to be stored together.

    Attributes:
        writes: Of each partition what is to be stored.
        stopped: Why it is not to go on after that; None if it is.
    """

    writes: list[Write]
    stopped: KafkaStoppedError | None


class Batches:
    """Makes what is to be stored of what was read.

    Args:
        maker: Makes events of messages.
        places: How far each partition is.
        rules: What becomes of messages that are no events.
    """

    def __init__(self, maker: Maker, places: Places, rules: Rules) -> None:
        self._maker = maker
        self._places = places
        self._rules = rules
        self._errors = 0

    def ends(self) -> dict[str, int]:
        """The offset that is read next, by what a partition is called in the file of rejects."""
        return {self._identity(key): place.offset for key, place in self._places.current.items()}

    def make(self, read: Read, moved: Collection[Key] = ()) -> Batch:
        """Make events, and write down what is none.

        Args:
            read: What was read.
            moved: Partitions that go on elsewhere: nothing of them is stored.

        Raises:
            OSError: What is no event cannot be written down.
            StorageError: Its file is none of ours.
        """
        writes: list[Write] = []
        for key, messages in read.messages.items():
            if key in moved:
                continue
            good, made, stopped = self._made_of(messages)
            if good:
                self._tell(key, made.bad)
                # behind one that stops it the end is not reached, though it was read
                end = read.ends.get(key) if stopped is None else None
                writes.append(self._write(key, good, made, end))
            if stopped is not None:
                return Batch(writes, stopped)
        for key, end in read.ends.items():
            # what lies behind the last message is no message: once it is deleted, nothing is lost
            if key not in read.messages and key not in moved:
                place = self._places.current.get(key)
                if place is not None and place.offset < end:
                    writes.append(Write(key, place._replace(offset=end)))
        return Batch(writes, None)

    def _made_of(
        self, messages: Sequence[Message]
    ) -> tuple[Sequence[Message], Made, KafkaStoppedError | None]:
        """The events of messages, of those before the first bad one that is one too many."""
        made = self._maker.make(messages)
        most = self._rules.max_errors
        count = self._errors + len(made.bad)
        if most is None or count <= most:
            self._errors = count
            return messages, made, None
        first = made.bad[most - self._errors]
        good = [each for each in messages if each.offset < first.message.offset]
        self._errors = most
        return good, self._maker.make(good), _stopped(first, most)

    def _write(self, key: Key, messages: Sequence[Message], made: Made, end: int | None) -> Write:
        last = messages[-1]
        offset = last.offset + 1 if end is None else max(end, last.offset + 1)
        return Write(
            key,
            self._places.current[key]._replace(offset=offset, epoch=last.epoch),
            made.encoded,
            made.moments,
            len(messages),
            len(made.bad),
            made.dropped,
            made.tombstones,
            made.priorities or None,
        )

    def _tell(self, key: Key, bad: Sequence[Bad]) -> None:
        self._rules.rejected.append(bad, self._identity(key))
        if self._rules.on_reject is not None:
            for each in bad:
                self._rules.on_reject(each.message.given, each.reason)

    def _identity(self, key: Key) -> str:
        """What tells the messages of a partition from those of one that was made anew since."""
        topic_id = self._places.current[key].topic_id
        return f"{self._places.job(key)}:{topic_id}" if topic_id else self._places.job(key)


def _stopped(bad: Bad, most: int) -> KafkaStoppedError:
    topic, partition, offset = bad.message[:3]
    hint = "Give rejects=FILE, or on_reject, or a greater max_errors"
    return KafkaStoppedError(
        f"{bad.reason}; {most} such messages are allowed",
        topic=topic,
        partition=partition,
        offset=offset,
        hint=f"What was before it is stored. {hint}",
    )
