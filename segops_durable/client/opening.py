"""What a client is opened with: loaded by the first one, and not with the package.

From then on all is there that keeps an event, sends it, mends the file and says what is wrong:
an import may fail where the disk, the descriptors or the memory are used up, or where another
version was installed meanwhile, and must not wait where a signal handler or a child of a fork asks.
Only what reads files of events is loaded when it is asked for. Who gives up rights before a client
is opened, and cannot read Python's files then, imports this before.
"""

from __future__ import annotations

from segops_durable.client.per_process import PerProcessDelivery
from segops_durable.client.wiring import intake_of, open_outbox, users_of
from segops_durable.outbox import find_outbox, tell_of_leftovers

__all__ = [
    "PerProcessDelivery",
    "find_outbox",
    "intake_of",
    "open_outbox",
    "tell_of_leftovers",
    "users_of",
]
