"""A table is written to SegOps: spark-submit spark_batch.py signups.parquet 2026-11-28."""

from __future__ import annotations

import os
import sys

from pyspark.sql import SparkSession

from segops_durable.spark import SegOpsDataSource, partitioned

source, day = sys.argv[1:]
spark = SparkSession.builder.appName("signups").getOrCreate()
spark.dataSource.register(SegOpsDataSource)

signups = spark.read.parquet(source)  # user_id, event_type, occurred_at; the rest is the payload
(
    partitioned(signups, 2)
    .write.format("segops")
    .option("api_url", os.environ["SEGOPS_API_URL"])
    .option("api_key_file", os.environ["SEGOPS_KEY_FILE"])  # a file on each executor
    .option("job", f"signups {day}")  # run again by this name, it goes on
    .option("lanes", 2)
    .option("max_requests_per_minute", 300)
    .option("dead_letters", os.path.abspath("dead_letters"))  # noqa: PTH100 - a text is wanted
    .mode("append")
    .save()
)
