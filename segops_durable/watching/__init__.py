"""What a page shows of a client: its outbox, its sender, and the last events."""

from __future__ import annotations

from segops_durable.watching.client_view import ClientView

__all__ = ["ClientView"]
