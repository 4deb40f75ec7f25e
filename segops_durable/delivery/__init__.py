"""The way of events to SegOps: one thread, rounds of batches, and what answers lead to.

- `flusher` is the thread: it sleeps, has a round run, and goes on whatever happens in it. Those
  who wait for a round are in `flushing`; what they have asked for is in `rounds`.
- `sender` is the round: it takes a batch, has it sent, and carries out what is decided of it
  (`settling`).
- `agenda` says what is sent next: whose turn it is (`turns`), whom another kind of key is for
  (`kinds`), which batch that failed is tried again (`suspects`), how large a new one may be
  (`body_limit`).
- `attempt` is one batch on its way: its retries, and how it fared (`outcome`). `arrivals`
  knows which batches SegOps may have without our hearing of it.
- `overlap` is a round over several connections, where a user has asked for some: `lanes` are the
  threads that send, and the sender's own decides, as ever.
- `decisions` says what an outcome leads to; it is pure, and so a table can show it.
- `patience` says which events have waited long enough to be sent in a batch that is not full,
  `backoff` and `pace` how long to wait, and how fast to send.
- `gate` is what the application says of whether to send now.
- `place` is that of the one process that sends, where it hears the others; `knocking` is what they
  tell it, and takes the place of one that hears nothing.
- `explaining` asks SegOps why it skipped events of a batch.
- `housekeeping` looks after the file between the rounds, `reporting` is where errors go, `failures`
  what is told where no batch is to blame, `sender_note` tells other processes, and `status` has the
  words for all of it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from segops_durable.delivery.pace import Pace
from segops_durable.delivery.status import FlushResult, State, Stats
from segops_durable.system.on_demand import on_demand

if TYPE_CHECKING:
    from segops_durable.delivery.explaining import Explaining, Explanation
    from segops_durable.delivery.flusher import Flusher
    from segops_durable.delivery.flushing import Flushing
    from segops_durable.delivery.gate import Gate
    from segops_durable.delivery.housekeeping import Housekeeping
    from segops_durable.delivery.knocking import knock_once
    from segops_durable.delivery.reporting import Reporter
    from segops_durable.delivery.sender import Sender
else:
    __getattr__, __dir__ = on_demand(
        __name__,
        {
            "segops_durable.delivery.explaining": "Explaining Explanation",
            "segops_durable.delivery.flusher": "Flusher",
            "segops_durable.delivery.flushing": "Flushing",
            "segops_durable.delivery.gate": "Gate",
            "segops_durable.delivery.housekeeping": "Housekeeping",
            "segops_durable.delivery.knocking": "knock_once",
            "segops_durable.delivery.reporting": "Reporter",
            "segops_durable.delivery.sender": "Sender",
        },
    )

__all__ = [
    "Explaining",
    "Explanation",
    "FlushResult",
    "Flusher",
    "Flushing",
    "Gate",
    "Housekeeping",
    "Pace",
    "Reporter",
    "Sender",
    "State",
    "Stats",
    "knock_once",
]
