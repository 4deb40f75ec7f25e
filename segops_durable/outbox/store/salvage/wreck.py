"""A damaged outbox, as it lies there: its bytes, its log, and what is known of it besides."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from segops_durable.outbox.disk.pages import Pages
    from segops_durable.outbox.records.incidents import Incident
    from segops_durable.outbox.store.ledger import Throughput


@dataclass(frozen=True)
class Wreck:
    """What there is to be salvaged.

    Attributes:
        pages: Its pages.
        incident: What has happened to it; what could be saved is added.
        noted: Says what was noted outside the file of the outbox with a UUID.
    """

    pages: Pages
    incident: Incident
    noted: Callable[[str], Throughput | None]
