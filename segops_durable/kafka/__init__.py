"""Events of Kafka's messages: offsets are checkpoints, stored with the events in one transaction.

    from segops_durable import SegOpsClient
    from segops_durable.kafka import consume

    client = SegOpsClient("https://api.segops.ai", "sk_...")
    consume(client, "clicks", config={"bootstrap.servers": "broker:9092"})

``pip install "segops-durable[kafka]"`` brings confluent-kafka.

- `consuming`: the loop, and `consume`, which is its call.
- `places`: where each partition goes on, and what it means if that is not there any more.
- `storing`: the transaction: the events of a batch, and the place after it.
- `cluster`: what is asked of Kafka, and read of it; `settings` is how its library is set up, and
  `heard` hears what that says besides messages.
- `checks`: what refuses an argument.
- `results`: how it went.
"""

from __future__ import annotations

try:
    from segops_durable.kafka.consuming import consume
except ModuleNotFoundError as _error:
    if not (_error.name or "").startswith("confluent_kafka"):
        raise
    raise ImportError(
        'confluent-kafka is not installed: pip install "segops-durable[kafka]"', name=_error.name
    ) from _error
from segops_durable.kafka.places import OnGap, Start
from segops_durable.kafka.results import ConsumeResult

__all__ = ["ConsumeResult", "OnGap", "Start", "consume"]
