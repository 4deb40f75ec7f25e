"""What Spark calls to write: in each task, and on the driver when all of them are done."""

from __future__ import annotations

import logging
from itertools import chain
from typing import TYPE_CHECKING

from pyspark.sql.datasource import DataSourceStreamWriter, DataSourceWriter

from segops_durable.errors import RefusedError
from segops_durable.spark.lane import Lane
from segops_durable.spark.letters import BadRows, Delivered, line_of, write_letters
from segops_durable.spark.ordering import Ordering
from segops_durable.spark.place import place_of_task
from segops_durable.spark.rows import Reader
from segops_durable.spark.scratch import Scratch

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from pyspark.sql import Row
    from pyspark.sql.types import StructType

    from segops_durable.spark.place import Place
    from segops_durable.spark.settings import Settings

    Messages = Sequence[Delivered | None]

_log = logging.getLogger("segops_durable")


class BatchWriter(DataSourceWriter):  # type: ignore[misc]  # it is of the extra spark
    """Writes a DataFrame.

    Args:
        settings: What it was told.
        schema: The columns.
    """

    def __init__(self, settings: Settings, schema: StructType) -> None:
        self._settings = settings
        self._schema = schema
        self._job = settings.named()  # drawn once, here: it has to be the same at each attempt

    def write(self, iterator: Iterator[Row]) -> Delivered:
        """Deliver a partition, in its task; `deliver` has the rest."""
        return deliver(self._settings, self._schema, place_of_task(self._job), iterator)

    def commit(self, messages: Messages) -> None:
        """Write the dead letters, and remove the scratch space; on the driver.

        Raises:
            RefusedError: There are more than `max_errors`.
            OSError: They cannot be written.
        """
        settle(self._settings, self._job, 0, messages)
        Scratch(self._settings.scratch_root, self._settings.api_url, self._job).remove()

    def abort(self, messages: Messages) -> None:
        """Leave all as it is, for the next attempt."""


class StreamWriter(DataSourceStreamWriter):  # type: ignore[misc]  # as above
    """Writes the micro-batches of a stream.

    Args:
        settings: What it was told.
        schema: The columns.
    """

    def __init__(self, settings: Settings, schema: StructType) -> None:
        self._settings = settings
        self._schema = schema

    def write(self, iterator: Iterator[Row]) -> Delivered:
        """Deliver a partition of a micro-batch, in its task; `deliver` has the rest."""
        return deliver(self._settings, self._schema, place_of_task(None), iterator)

    def commit(self, messages: Messages, batchId: int) -> None:  # noqa: N803 - Spark's name for it
        """Write the dead letters, and remove the scratch space of the batches before.

        That of this batch goes when the next one begins, or is committed: Spark may be killed
        before it has noted that this one is, and then has it all written again.

        Raises:
            RefusedError: There are more dead letters than `max_errors`.
            OSError: They cannot be written.
        """
        queries = {each.query for each in messages if each is not None}
        for query in queries:  # one: all are of this stream
            settle(self._settings, query, batchId, messages)
            root = self._settings.scratch_root
            Scratch(root, self._settings.api_url, query).remove_before(batchId)

    def abort(self, messages: Messages, batchId: int) -> None:  # noqa: N803 - as above
        """Leave all as it is, for the next attempt."""


def deliver(settings: Settings, schema: StructType, place: Place, rows: Iterator[Row]) -> Delivered:
    """Deliver the rows of a partition: returns when each is accepted, or in the dead letters.

    Raises:
        SegOpsError: They cannot be delivered now; what was is noted in the lane.
    """
    first = next(rows, None)
    if first is None:
        return Delivered(*place)
    settings.check_partition(place.partition)
    api_key = settings.read_key()
    bad = BadRows(place, settings.most_errors + 1)
    with Ordering() as ordering:
        count = _read(settings, schema, chain([first], rows), ordering, bad)
        scratch = Scratch(settings.scratch_root, settings.api_url, place.query)
        with scratch.held(place, settings.drain_timeout) as directory:
            scratch.remove_before(place.batch)
            with Lane(settings, api_key, place, scratch, directory) as lane:
                lane.drain()  # what the last attempt has left
                for number, chunk in enumerate(ordering.chunks(settings.batch_size)):
                    lane.store(number, chunk)
                    lane.drain()
                told = _told(lane, place, count, bad)
            scratch.note_done(directory)
    scratch.sweep()
    return told


def _read(
    settings: Settings,
    schema: StructType,
    rows: Iterable[Row],
    ordering: Ordering,
    bad: BadRows,
) -> int:
    """Make events of rows; return how many rows there were."""
    reader = Reader(schema, settings.field_map, settings.max_event_bytes)
    count = 0
    for row in rows:
        count += 1
        try:
            ordering.add(*reader.read(row))
        except (ValueError, TypeError, RecursionError) as error:
            bad.add(reader.bad(row, str(error)))
    return count


def _told(lane: Lane, place: Place, count: int, bad: BadRows) -> Delivered:
    """What the driver is told; of more dead letters than there may be, only so many.

    Then the commit fails, and all of them are in the lane still.
    """
    refused = [line_of(place, fields) for fields in lane.letters()]
    # of a batch of which SegOps skipped some there are letters of all: it does not say which
    is_counted = lane.changed is None
    errors = count - lane.accepted if is_counted else bad.count + len(refused)
    letters = bad.lines() + refused
    if errors >= bad.most:
        letters = letters[: bad.most]
    return Delivered(*place, count, lane.accepted, errors, tuple(letters), lane.changed)


def settle(settings: Settings, query: str, batch: int, messages: Messages) -> None:
    """Write what could not be delivered, and refuse to commit where that is too much."""
    told = [each for each in messages if each is not None]
    errors = sum(each.errors for each in told)
    path = None
    if settings.dead_letters is not None and any(each.letters for each in told):
        path = write_letters(settings.dead_letters, query, batch, told)
    changed = [each.partition for each in told if each.changed is not None]
    if changed:
        _log.warning(
            "rows of %d partitions of %s were not those of an earlier attempt, and were sent again "
            "(see segops_durable.spark.partitioned)",
            len(changed),
            query,
        )
    if errors > settings.most_errors:
        shown = next((line for each in told for line in each.letters), "")
        raise RefusedError(
            f"{errors} rows of {query}, batch {batch}, were no events or were refused, and "
            f"max_errors is {settings.most_errors}; the first: {shown[:500]}",
            batch_size=errors,
            hint=f"They are in {path}" if path else "Say dead_letters, a directory for them",
        )
