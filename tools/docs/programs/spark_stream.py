"""A stream is written to SegOps by the micro-batch: files that others put into a directory."""

from __future__ import annotations

import os
import sys

from pyspark.sql import SparkSession

from segops_durable.spark import SegOpsDataSource, partitioned

source, checkpoint = sys.argv[1:]
spark = SparkSession.builder.appName("page views").getOrCreate()
spark.dataSource.register(SegOpsDataSource)

views = spark.readStream.schema(
    "user_id STRING, event_type STRING, occurred_at TIMESTAMP, page STRING"
).json(source)
query = (
    partitioned(views, 2)
    .writeStream.format("segops")
    .option("api_url", os.environ["SEGOPS_API_URL"])
    .option("api_key_file", os.environ["SEGOPS_KEY_FILE"])
    .option("checkpointLocation", checkpoint)
    .trigger(availableNow=True)  # or processingTime="10 seconds", to go on for ever
    .start()
)
query.awaitTermination()
