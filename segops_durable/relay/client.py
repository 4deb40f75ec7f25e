"""The client of a relay: what was received goes to its writer, as tasks' events do."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, cast

from segops_durable.aio import AsyncSegOpsClient, closed_error
from segops_durable.api import Verdict, rate_of
from segops_durable.delivery import State
from segops_durable.errors import QueueFullError, StorageError
from segops_durable.identity import NO_IDENTITY
from segops_durable.outbox import Entry, Receipts
from segops_durable.relay.together import Together

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from segops_durable.aio import InnerClient
    from segops_durable.api import Answer, Pacer
    from segops_durable.client import Delivery, Options
    from segops_durable.errors import SegOpsError
    from segops_durable.intake import Draft, Encoded
    from segops_durable.outbox import Checkpoint, Receipt
    from segops_durable.system.clock import Clock, Moment

_NOT_NOW = {State.RATE_LIMITED, State.GATED}
FORMER_KEY_SECONDS = 86_400.0
"""How long callers may go on with the key that was replaced, so that none is refused meanwhile; by
the clock that nobody sets, and that goes on while the device sleeps."""
_TROUBLE_SECONDS = 60.0


class _Received:
    """What was received, as the writer takes drafts."""

    __slots__ = ("_entry",)

    def __init__(self, entry: Entry) -> None:
        self._entry = entry

    def entry(self, _checkpoint: Checkpoint | None = None) -> Entry:
        """What is to be stored."""
        return self._entry


class RelayClient(AsyncSegOpsClient):
    """An `AsyncSegOpsClient` for events that were encoded by others."""

    def _begin(self, options: Options) -> None:
        super()._begin(options)
        self._receipts = Receipts()
        self._former: tuple[str, float] = ("", 0.0)
        self._trouble: tuple[str, float] = ("", 0.0)
        self._within: InnerClient | None = None
        self._together = Together(self._store_at_once, self._store_elsewhere)

    async def start(self) -> None:
        """Open the outbox, as an `AsyncSegOpsClient` does."""
        await super().start()
        self._within = self._inner

    @property
    def options(self) -> Options:
        """As they hold now."""
        within = self._within
        return self._options if within is None else within._options  # noqa: SLF001 - of its own

    @property
    def keys(self) -> tuple[str, ...]:
        """What secret keys callers may have: the one that is sent with, and the one before."""
        former, until = self._former
        own = self.options.api_key
        return (own, former) if former and self.clock.uptime() < until else (own,)

    @property
    def trouble(self) -> str | None:
        """What kept the last events from being stored, a moment ago; None if they were."""
        words, until = self._trouble
        return words if words and time.monotonic() < until else None

    async def set_api_key(self, api_key: str) -> None:
        """Send with another key; callers may go on with the one before, for a day."""
        before, own = self._former, self.options.api_key
        if api_key != own:  # first, or a caller would be refused meanwhile
            self._former = (own, self.clock.uptime() + FORMER_KEY_SECONDS)
        try:
            await super().set_api_key(api_key)
        except BaseException:
            self._former = before
            raise

    @property
    def path(self) -> Path:
        """The outbox file, once it is opened."""
        return self.inner._outbox.path  # noqa: SLF001 - of its own within

    async def accept(
        self,
        events: Encoded,
        identity: str = NO_IDENTITY,
        receipt: Receipt | None = None,
        *,
        is_alone: bool = False,
    ) -> None:
        """Store events, all or none; they are durable when this returns.

        Requests that come at once share a commit.

        Args:
            events: The events.
            identity: Whose they are. Defaults to nobody's: each speaks for its own user.
            receipt: What the request is known by, if it is made again. Defaults to none.
            is_alone: Whether no other request can come at once with it. Defaults to False.

        Raises:
            RepeatedRequestError: It was made before; nothing is stored.
            QueueFullError: There is no room.
            StorageError: They could not be stored, or it is unknown whether they were.
            ClosedError: The client is shut down.
        """
        also = None if receipt is None else self._receipts.noting(receipt)
        entry = Entry(events.encoded, identity, events.moments, None, also=also)
        try:
            await self._together.add(entry, is_alone=is_alone)
        except (StorageError, QueueFullError) as error:
            self._trouble = (str(error), time.monotonic() + _TROUBLE_SECONDS)
            raise
        self._trouble = ("", 0.0)

    def _store_at_once(self, entries: Sequence[Entry]) -> Sequence[SegOpsError | None]:
        if self._is_closed:
            raise closed_error()
        return self.inner.store_together(entries, is_brief=True)

    async def _store_elsewhere(self, entry: Entry) -> None:
        loop, _ = await self._open()
        await self._writers.here().store(loop, cast("Draft", _Received(entry)))

    def moment(self) -> Moment:
        """Now, for events that do not say when they occurred."""
        return self.clock.moment()

    def adopt(self, identity: str, answer: Answer) -> float | None:
        """Have the sender use the token of an answer, if it is one for that identity.

        Returns:
            The seconds that it lives; None if it is none.
        """
        handshake = self._delivery.handshake
        lifetime = None if handshake is None else handshake.adopt(identity, answer)
        return None if isinstance(lifetime, Verdict) else lifetime

    @property
    def may_ask(self) -> bool:
        """Whether SegOps has asked for no patience, and nothing keeps the sender from sending."""
        return self._delivery.flusher.state not in _NOT_NOW

    @property
    def pacer(self) -> Pacer | None:
        """Gives requests beside the sender's their turns; None if those are another process's."""
        delivery, outbox = self._delivery, self.inner._outbox  # noqa: SLF001 - of its own within
        if not delivery.sender.place.is_kept and outbox.sender_lock.is_taken:
            noted = rate_of((outbox.kept_rate() or {}).get("per_minute"))
            if delivery.pacer.per_minute is not None or noted is not None:
                return None
        return delivery.pacer

    @property
    def clock(self) -> Clock:
        """The time."""
        return self.inner._clock  # noqa: SLF001 - of its own within

    @property
    def inner(self) -> InnerClient:
        """The client within: it is started before anything is served."""
        assert self._within is not None  # noqa: S101 - as it says
        return self._within

    @property
    def _delivery(self) -> Delivery:
        return self.inner._delivery.current  # noqa: SLF001 - of its own within
