"""What the way to SegOps needs to know of a batch; nothing of where it comes from."""

from __future__ import annotations

from typing import Protocol


class Sendable(Protocol):
    """What a transport needs of a batch."""

    @property
    def rows(self) -> tuple[object, ...]:
        """The events; they are counted only."""

    @property
    def body(self) -> bytes:
        """The request's body."""

    @property
    def key(self) -> str:
        """The ``Idempotency-Key``."""

    @property
    def sent_as(self) -> str:
        """Whose events these are, under a public key."""
