"""Which task this is, as Spark has it: the one place that looks at internals of Spark.

Spark has no public call that tells a task of a stream which query and micro-batch it is of. But it
sets local properties for the jobs of a batch, and a task can read them: ``sql.streaming.queryId``
(`StreamExecution`) and ``streaming.sql.batchId`` (`MicroBatchExecution`). What a session is
configured with, such as ``spark.speculation``, is among them as well (`SQLExecution`). A test
holds each of them for each version of pyspark that is supported.
"""

from __future__ import annotations

from typing import NamedTuple

from pyspark import TaskContext

from segops_durable.errors import ConfigurationError

QUERY = "sql.streaming.queryId"
BATCH = "streaming.sql.batchId"
SPECULATION = "spark.speculation"


class Place(NamedTuple):
    """Which rows a task writes.

    Attributes:
        query: The id of the streaming query, or what the write is called.
        batch: The number of the micro-batch; 0 of a write that is none.
        partition: The number of the partition.
    """

    query: str
    batch: int
    partition: int


def place_of_task(job: str | None) -> Place:
    """Which rows this task writes; the same at each attempt.

    Args:
        job: What the write is called; None for a stream's.

    Raises:
        ConfigurationError: Two attempts may run at once, on two machines: speculation is on.
        RuntimeError: This is no task, or Spark does not say which micro-batch it is of.
    """
    context = TaskContext.get()
    if context is None:
        raise RuntimeError("this is to be called in a task of Spark")
    if (context.getLocalProperty(SPECULATION) or "").lower() == "true":
        raise ConfigurationError(
            "spark.speculation must be false: a copy of a slow task would send its rows again",
            field=SPECULATION,
            hint="A lane is slow as SegOps limits the calls; a second one does not speed it up",
        )
    if job is not None:
        return Place(job, 0, context.partitionId())
    query, batch = context.getLocalProperty(QUERY), context.getLocalProperty(BATCH)
    if query is None or batch is None:
        raise RuntimeError(
            f"this version of Spark does not say which batch a task is of ({QUERY}, {BATCH})"
        )
    return Place(query, int(batch), context.partitionId())
