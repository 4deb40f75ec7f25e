"""A Spark data source, ``segops``: writes the rows of a DataFrame, or of a stream, to SegOps.

    from segops_durable.spark import SegOpsDataSource, partitioned

    spark.dataSource.register(SegOpsDataSource)
    (
        partitioned(events, 4)
        .write.format("segops")
        .option("api_url", "https://api.segops.ai")
        .option("api_key_file", "/run/secrets/segops")
        .option("job", "signups 2026-11-28")
        .mode("append")
        .save()
    )

What it gives is the placement, the checkpoints and the retries of the cluster, and never more
speed: SegOps limits the calls of a tenant, and one machine sends more than the largest plan takes.

What it promises:

1. At least once: a write, or a micro-batch, is committed when SegOps has accepted each of its
   rows, or it is in the dead letters, which `commit` has written by then. Else the task fails, and
   Spark tries again; `abort` leaves all as it is.
2. A partition is a *lane* with an outbox of its own in scratch space, and a chunk of
   ``batch_size`` rows is one request. The number of the chunk is the lane's checkpoint, stored
   with its events in one transaction. Where the scratch space survives, a failed attempt repeats
   at most the one request that it was in, with the same bytes and key. Where it does not, all that
   the lane had sent is repeated, with the same bytes and keys.
3. A key is a hash of the query, the batch, the partition, the chunk and the body, and never of the
   attempt, whose number Spark uses again when it repeats a stage. One key never stands for two
   bodies.

For 2 the rows of a partition have to be the same ones at each attempt, in whatever order:
`partitioned` has them follow from the rows alone. Rows are the same only where what they are read
from is, and where nothing draws lots or asks the clock (`rand`, `uuid`, a sample, a limit without
an order; `current_timestamp()` is one time for all of a query or micro-batch). A lane notices a
chunk that is not that of the last attempt; then it sends it, so that nothing is lost, and the
commit warns.

- `data_source`: what Spark calls on the driver, with the `settings` that it was given.
- `writers`: what is done in a task, and at the commit. `place` asks Spark which task it is.
- `rows`: which column is what, checked before anything runs, and events of rows; `ordering` has
  them in one order.
- `lane`: a partition's outbox, filled by the chunk and drained. `scratch` has it, `pace` its turns.
- `letters`: what could not be delivered, as a task tells the driver, and in a file.
- `partitioning`: rows that are in the same partition at each attempt.
"""

from __future__ import annotations

try:
    from segops_durable.spark.data_source import SegOpsDataSource
    from segops_durable.spark.partitioning import partitioned
except ModuleNotFoundError as _error:
    if (_error.name or "").split(".")[0] not in {"pyspark", "pyarrow", "pandas"}:
        raise
    raise ImportError(
        'pyspark 4 is not installed: pip install "segops-durable[spark]"', name=_error.name
    ) from _error

__all__ = ["SegOpsDataSource", "partitioned"]
