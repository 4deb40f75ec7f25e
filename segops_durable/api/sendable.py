"""What the way to SegOps needs to know of a batch; nothing of where it comes from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sized


class Sendable(Protocol):
    """What a transport needs of a batch."""

    @property
    def rows(self) -> Sized:
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
