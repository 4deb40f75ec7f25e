"""The page of a client, for a server of this machine."""

from __future__ import annotations

from typing import TYPE_CHECKING

from segops_durable.page import Page
from segops_durable.watching.client_view import ClientView

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.types import Scope

    from segops_durable.aio import AsyncSegOpsClient
    from segops_durable.client import SegOpsClient


def outbox_page(
    client: SegOpsClient | AsyncSegOpsClient,
    *,
    token: str,
    host: str | None,
    hang_up: Callable[[Scope], object] = lambda _scope: None,
) -> Page:
    """Make the page of a client; `routes()` is served, and `end()` called when the server ends.

    Args:
        client: The client, open.
        token: As `Page` has it.
        host: Likewise.
        hang_up: Likewise.

    Raises:
        ConfigurationError: It is an asynchronous client that is not started.
        ValueError: The token could be guessed.
    """
    view = ClientView(client)
    return Page(
        view,
        kind="outbox",
        host=host,
        token=token,
        letters=view,
        hang_up=hang_up,
        on_end=view.close,
    )
