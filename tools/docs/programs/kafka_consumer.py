"""A service that consumes a topic of Kafka: each message is queued once, wherever it is killed."""

from __future__ import annotations

import os
import signal
import threading

from segops_durable import FieldMap, SegOpsClient
from segops_durable.kafka import consume

stop = threading.Event()
for each in (signal.SIGINT, signal.SIGTERM):
    signal.signal(each, lambda *_: stop.set())

columns = {"user_id": "user", "event_type": "kafka.header.type"}  # the rest goes into the payload

with SegOpsClient.from_env(max_queue_events=100_000, overflow="block") as client:
    done = consume(
        client,
        "clicks",
        config={"bootstrap.servers": os.environ["KAFKA_SERVERS"], "group.id": "segops"},
        field_map=FieldMap(columns=columns),
        rejects="clicks.rejects.jsonl",
        share=(int(os.environ.get("HOST_NUMBER", "0")), int(os.environ.get("HOSTS", "1"))),
        stop=stop,
    )
print(done.stored, "stored,", done.rejected, "rejected")
