"""What a service asks of the client that it runs, and a program has no need of."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from segops_durable.client.client import SegOpsClient
    from segops_durable.client.options import Options
    from segops_durable.outbox import Outbox


def hangs_for(client: SegOpsClient) -> float | None:
    """Seconds for which what sends has been silent without a reason; None where nothing runs."""
    return client._delivery.current.hangs_for  # noqa: SLF001 - of its own package


def options_of(client: SegOpsClient) -> Options:
    """The options, as they hold now."""
    return client._options  # noqa: SLF001 - of its own package


def outbox_of(client: SegOpsClient) -> Outbox:
    """The outbox."""
    return client._outbox  # noqa: SLF001 - of its own package
