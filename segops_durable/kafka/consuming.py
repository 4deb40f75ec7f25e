"""The loop: read messages, make events, store them with the place after them, tell the group."""

from __future__ import annotations

import threading
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

from segops_durable.errors import ConfigurationError
from segops_durable.intake.imports import FieldMap
from segops_durable.intake.messages import Maker, Rejected
from segops_durable.kafka.batches import Batches, Rules
from segops_durable.kafka.checks import check_client, check_values, checked_topics
from segops_durable.kafka.cluster import Cluster
from segops_durable.kafka.partitions import Partitions
from segops_durable.kafka.places import Places
from segops_durable.kafka.results import ConsumeResult
from segops_durable.kafka.settings import settings_of
from segops_durable.kafka.storing import Storing, Write

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Mapping, Sequence

    import confluent_kafka

    from segops_durable.client import SegOpsClient
    from segops_durable.events import Event
    from segops_durable.kafka.places import OnGap, Start
    from segops_durable.kafka.settings import Settings

    Given = Event | Mapping[str, Any]


def consume(
    client: SegOpsClient,
    topic: str | Sequence[str],
    *,
    config: Mapping[str, Any],
    field_map: FieldMap | None = None,
    to_event: Callable[[confluent_kafka.Message], Given | Sequence[Given] | None] | None = None,
    partitions: Sequence[int] | None = None,
    share: tuple[int, int] | None = None,
    start: Start = "earliest",
    on_gap: OnGap = "raise",
    rejects: str | os.PathLike[str] | None = None,
    on_reject: Callable[[confluent_kafka.Message, str], object] | None = None,
    max_errors: int | None = None,
    stop: threading.Event | None = None,
    until_end: bool = False,
    on_progress: Callable[[ConsumeResult], object] | None = None,
    batch_size: int = 500,
    max_wait: float = 1.0,
    timeout: float = 30.0,
    cluster: str | None = None,
) -> ConsumeResult:
    """Store the events of a topic's messages; killed at any instant and run again, it goes on.

    The offset of each partition is a checkpoint of the outbox, stored in the transaction that
    stores the events: each message is queued exactly once in an outbox. From there to SegOps
    delivery is at least once, as ever. The partitions are assigned, not subscribed to: no
    rebalance gives one to a host whose disk does not have its checkpoint. The group, if `config`
    names one, is told the offsets for displays of its lag; they are never read again.

    Args:
        client: A client with a secret key. Its `overflow` says what happens where the outbox is
            full: ``block`` waits for as long as it takes, ``raise`` raises.
        topic: The topic, or several.
        config: The settings of librdkafka: ``bootstrap.servers``, ``sasl.…``, ``ssl.…`` and so
            on. ``isolation.level`` is ``read_committed`` and ``queued.max.messages.kbytes``
            16384, unless they are given; without a ``group.id`` nothing is committed.
        field_map: Which entry of a message's value, a JSON object, is what of an event; also
            ``kafka.key``, ``kafka.timestamp``, ``kafka.topic``, ``kafka.partition``,
            ``kafka.offset`` and ``kafka.header.NAME``. Defaults to those of the same names.
        to_event: Makes the events instead, of a `confluent_kafka.Message`: one, a list, or None
            for none. Whatever it raises costs that message. Defaults to the field map.
        partitions: Those to read. Defaults to all, also those that are added while it runs.
        share: This host's number, from 0, and how many hosts there are: it reads the partitions
            whose number leaves its own, divided by that. Defaults to (0, 1).
        start: Where a topic begins of which this outbox has nothing: ``earliest``, ``latest``,
            ``group`` (what the group has committed, else the earliest), or a time. Defaults to
            ``earliest``.
        on_gap: Where messages were deleted before they were read, or the topic was made anew:
            ``raise``, or ``skip`` to go on with what is there; `on_error` hears of it. Defaults
            to ``raise``.
        rejects: A file for the messages that are no events, as JSON Lines, of this process
            alone; `SegOpsClient.import_rejected` imports what was mended in it. Defaults to none.
        on_reject: Called with each of them, and the reason, before it is passed over; once more
            if the process is killed right then. What it raises ends it. Defaults to nobody.
        max_errors: Messages that may be no events before it stops at the next one. Defaults to
            any number with `rejects` or `on_reject`, and to none without: nothing is lost unseen.
        stop: Ends it, once it is set, after the transaction that it is in. Defaults to none.
        until_end: End when each partition has been read to its end. Defaults to False.
        on_progress: Called after each transaction. Defaults to nobody.
        batch_size: Messages in a transaction at most, 1 to 10,000. Defaults to 500.
        max_wait: Seconds that messages wait for others, to be stored together. Defaults to 1.
        timeout: Seconds that Kafka may take to answer when it is asked, at the beginning say;
            while it runs, brokers that are away are waited for. Defaults to 30.
        cluster: The cluster's name in checkpoints. Defaults to its own id, so that another
            cluster's topic of the same name is another one.

    Returns:
        How it went.

    Raises:
        ConfigurationError: An argument cannot work.
        KafkaStoppedError: The topic or the cluster is not there, librdkafka cannot go on, or too
            many messages were no events. It can be called again.
        KafkaGapError: One of these: what follows is not there any more.
        CheckpointConflictError: Another process reads a partition into this outbox.
        QueueFullError: The outbox is full.
        StorageError: Events could not be stored.
        ClosedError: The client is shut down.
        OSError: The file of rejects cannot be written.
    """
    check_client(client)
    topics = checked_topics(topic)
    check_values({**locals()})
    settings = _settings_of(config, start)
    client._check_open()  # noqa: SLF001 - the same package, as below
    maker = Maker(client._intake, field_map or FieldMap(), to_event)  # noqa: SLF001
    rules = _rules_of(maker, rejects, on_reject, max_errors)
    end = stop or threading.Event()
    with closing(Cluster(settings, timeout)) as reader:
        found = {name: reader.topic(name) for name in topics}
        name = _name_of(reader, topics[0], cluster)
        places = _places_of(client, reader, name, start, on_gap)
        storing = Storing(client, places, end)
        owned = Partitions(reader, places, storing, partitions, share)
        owned.begin(found)
        batches = Batches(maker, places, rules)
        rules.rejected.cut_back(batches.ends())
        loop = Loop(reader, owned, batches, storing, on_progress)
        return loop.run(end, _room_of(client, batch_size), max_wait, until_end=until_end)


def _settings_of(config: Mapping[str, Any], start: Start) -> Settings:
    settings = settings_of(config)
    if start == "group" and not settings.has_group:
        raise ConfigurationError('start="group" needs a group.id in config', field="start")
    return settings


def _rules_of(
    maker: Maker,
    rejects: str | os.PathLike[str] | None,
    on_reject: Callable[[confluent_kafka.Message, str], object] | None,
    max_errors: int | None,
) -> Rules:
    """What becomes of messages that are no events: with nowhere to go, they stop it."""
    is_unseen = rejects is None and on_reject is None
    most = 0 if is_unseen and max_errors is None else max_errors
    path = None if rejects is None else _path_of(rejects)
    return Rules(Rejected(path, maker), on_reject, most)


def _name_of(reader: Cluster, topic: str, given: str | None) -> str:
    """The cluster's name in checkpoints."""
    name = given or reader.id_of(topic)
    if not name:
        hint = "Give it a name that it keeps"
        problem = "cluster must be given: the brokers tell no id of their own"
        raise ConfigurationError(problem, field="cluster", hint=hint)
    return name


def _places_of(
    client: SegOpsClient, reader: Cluster, name: str, start: Start, on_gap: OnGap
) -> Places:
    return Places(
        client._outbox,  # noqa: SLF001
        reader,
        name,
        start=start,
        on_gap=on_gap,
        listener=lambda: client._delivery.current,  # noqa: SLF001
    )


def _room_of(client: SegOpsClient, batch_size: int) -> int:
    """Messages in a transaction at most: more than the outbox may hold would never fit."""
    return min(batch_size, client._options.max_queue_events or batch_size)  # noqa: SLF001


class Loop:
    """Reads and stores until it is to end.

    Args:
        cluster: Where from.
        partitions: Which.
        batches: Makes of messages what is to be stored.
        storing: Stores it.
        on_progress: Called after each transaction.
    """

    def __init__(
        self,
        cluster: Cluster,
        partitions: Partitions,
        batches: Batches,
        storing: Storing,
        on_progress: Callable[[ConsumeResult], object] | None,
    ) -> None:
        self._cluster = cluster
        self._partitions = partitions
        self._batches = batches
        self._storing = storing
        self._on_progress = on_progress
        self._result = ConsumeResult()

    def run(
        self, stop: threading.Event, most: int, seconds: float, *, until_end: bool
    ) -> ConsumeResult:
        """Go on until it is stopped, or has come to the end of all partitions."""
        self._add(())
        while not stop.is_set() and not (until_end and self._partitions.are_at_end):
            read = self._partitions.sorted(self._cluster.read(most, seconds))
            moved = self._partitions.look(is_busy=bool(read.messages))
            batch = self._batches.make(read, moved)
            if batch.writes:
                done = self._storing.store(batch.writes)
                self._cluster.commit({each.key: each.place.offset for each in done})
                self._add(done)
            if batch.stopped is not None:
                raise batch.stopped
            self._partitions.go_on_at(read.gaps)
        return self._result

    def _add(self, done: Sequence[Write]) -> None:
        places = self._partitions.places
        before = self._result
        self._result = ConsumeResult(
            messages=before.messages + sum(each.messages for each in done),
            stored=before.stored + sum(len(each.encoded) for each in done),
            rejected=before.rejected + sum(each.rejected for each in done),
            dropped=before.dropped + sum(each.dropped for each in done),
            tombstones=before.tombstones + sum(each.tombstones for each in done),
            lost=places.lost,
            positions={key: place.offset for key, place in places.current.items()},
        )
        if done and self._on_progress is not None:
            self._on_progress(self._result)


def _path_of(rejects: object) -> Path:
    try:
        return Path(rejects).expanduser().absolute()  # type: ignore[arg-type]  # whatever was given
    except (TypeError, ValueError, RuntimeError):
        raise ConfigurationError("rejects must be the path of a file", field="rejects") from None
