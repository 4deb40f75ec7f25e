"""The way of events into the outbox: one by one, or from files.

- `intake`: one event: whose and when, through `screening` (the application's `before_store`),
  `encoded`, checked, appended; or, of those who must not wait, a `draft` now and the rest
  elsewhere. It tells a `listener` of what is stored, and knows nothing of delivery: a command
  that only stores has a listener that does next to nothing.
- `imports`: whole files, as a job that may be killed at any instant and run again.
- `sources`: what such files are read by: formats, compressions, encodings, directories.
- `messages`: events of messages, as Kafka has them; `received`: those that other SDKs send.
- `mapping`: which column of a record is what of an event.
"""

from __future__ import annotations

from segops_durable.intake.draft import Draft
from segops_durable.intake.encoded import Encoded
from segops_durable.intake.intake import Intake
from segops_durable.intake.listener import Listener

__all__ = ["Draft", "Encoded", "Intake", "Listener"]
