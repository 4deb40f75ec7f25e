"""A Kafka broker: librdkafka's own mock cluster, in a process of its own.

It is made by its C interface (rdkafka_mock.h), of the library that is within confluent-kafka's
wheel, as the setting ``test.mock.num.brokers`` makes no topics and deletes nothing. A request is a
line of JSON on standard input: a function's name and its arguments; the answer is a line.
"""

from __future__ import annotations

import ctypes
import json
import sys
from pathlib import Path
from typing import Any

import confluent_kafka

_WHERE = ("confluent_kafka.libs/librdkafka*", "confluent_kafka/.dylibs/librdkafka*")
_PRODUCER = 0
_ERROR_BYTES = 512


def library() -> Path | None:
    """The library of the wheel; None where there is none."""
    site = Path(confluent_kafka.__file__).parents[1]
    return next((path for where in _WHERE for path in sorted(site.glob(where))), None)


def main() -> None:
    """Make a cluster, say where it is, and serve requests until standard input ends."""
    kafka = ctypes.CDLL(str(library()))
    for name in ("conf_new", "new", "mock_cluster_new"):
        getattr(kafka, f"rd_kafka_{name}").restype = ctypes.c_void_p
    kafka.rd_kafka_mock_cluster_bootstraps.restype = ctypes.c_char_p
    error = ctypes.create_string_buffer(_ERROR_BYTES)
    conf = ctypes.c_void_p(kafka.rd_kafka_conf_new())
    kafka.rd_kafka_conf_set(conf, b"log_level", b"0", error, _ERROR_BYTES)
    handle = kafka.rd_kafka_new(_PRODUCER, conf, error, _ERROR_BYTES)
    cluster = ctypes.c_void_p(kafka.rd_kafka_mock_cluster_new(ctypes.c_void_p(handle), 1))
    # it calls its controller 0: without a broker of that number nobody finds one
    kafka.rd_kafka_mock_broker_add(cluster, 0)
    _say(kafka.rd_kafka_mock_cluster_bootstraps(cluster).decode())
    for line in sys.stdin:
        name, *arguments = json.loads(line)
        values: list[Any] = [each.encode() if isinstance(each, str) else each for each in arguments]
        if name == "partition_delete_records":
            values[-1] = ctypes.c_int64(values[-1])
        _say(getattr(kafka, f"rd_kafka_mock_{name}")(cluster, *values))


def _say(answer: object) -> None:
    print(json.dumps(answer), flush=True)  # noqa: T201 - the answer


if __name__ == "__main__":
    main()
