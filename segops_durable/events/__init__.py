"""Events: what they are, what is refused, and the bytes that will be sent.

- `event`: an event and a user's traits, made of whichever form a caller has.
- `encoding`: the bytes, made once: they are stored, and sent, as they are.
- `many`: those of many events, for which there is less to do than for each alone.
- `fast_json`: the same bytes, sooner, where orjson is installed.
- `payloads`: what a payload may hold; what it may not is named by its path.
- `timestamps`: when it occurred, in UTC.
"""

from __future__ import annotations

from segops_durable.events.encoding import (
    encode_checked,
    encode_event,
    encode_parsed,
    encode_received,
)
from segops_durable.events.event import (
    IDENTIFY_EVENT_TYPE,
    NORMAL,
    PRIORITIES,
    Context,
    Event,
    checked_priority,
    make_event,
    make_identify_event,
    priority_of_event,
)
from segops_durable.events.fast_json import read_json, write_json
from segops_durable.events.many import Many, encode_many, encode_received_many
from segops_durable.events.payloads import encode_text, is_unicode, words_of
from segops_durable.events.timestamps import retimed, timestamp_of, utc_texts

__all__ = [
    "IDENTIFY_EVENT_TYPE",
    "NORMAL",
    "PRIORITIES",
    "Context",
    "Event",
    "Many",
    "checked_priority",
    "encode_checked",
    "encode_event",
    "encode_many",
    "encode_parsed",
    "encode_received",
    "encode_received_many",
    "encode_text",
    "is_unicode",
    "make_event",
    "make_identify_event",
    "priority_of_event",
    "read_json",
    "retimed",
    "timestamp_of",
    "utc_texts",
    "words_of",
    "write_json",
]
