"""A kit for the tests of programs that track events: fixtures of pytest, and a client in memory.

    def test_an_order_is_tracked(segops_client, segops_events):
        place_order(segops_client, total=42)
        (event,) = segops_events.by_type("order_placed").wait_for(1)
        assert event["payload"] == {"total": 42}

``pip install "segops-durable[testing]"`` brings the fixtures, with nothing to switch on. Nothing
is loaded or started before a test asks for one (`plugin`):

- ``segops_sandbox``: a running `Sandbox`, a local SegOps.
- ``segops_client``: a `SegOpsClient` of it, with an outbox of its own.
- ``segops_events``: what it has accepted so far, as `Events`.
- ``segops_offline``: an `Outage`, which has begun.
- ``segops_options``: more arguments for ``segops_client``, for a test to override.

`MemoryClient` needs neither an extra nor pytest, nor a disk, a thread or a server.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from segops_durable.system.on_demand import on_demand

if TYPE_CHECKING:
    from segops_durable.testing.events import Events
    from segops_durable.testing.memory_client import MemoryClient
    from segops_durable.testing.outage import Outage
else:
    __getattr__, __dir__ = on_demand(
        __name__,
        {
            "segops_durable.testing.events": "Events",
            "segops_durable.testing.memory_client": "MemoryClient",
            "segops_durable.testing.outage": "Outage",
        },
    )

__all__ = ["Events", "MemoryClient", "Outage"]
