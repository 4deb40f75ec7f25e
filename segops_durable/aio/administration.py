"""Who uses the device, which key is sent with, and what could not be sent; asked from a task."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING

from segops_durable.aio.opened import Opened

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable

    from segops_durable.outbox import DeadLetter

_LETTERS_AT_ONCE = 100


class AsyncAdministration(Opened):
    """What looks after a client; the calls of `AsyncSegOpsClient`.

    Each raises a `NoThreadError` where no thread can be started to wait for the disk on.
    """

    async def anonymous_id(self) -> str:
        """The id of the device's visitor, as `SegOpsClient.anonymous_id` has it.

        Raises:
            StorageError: The outbox cannot be read.
            ClosedError: The client is shut down.
        """
        return await self._run(lambda inner: inner.anonymous_id)

    async def reset(self) -> None:
        """Forget who used the device, at log-out: the next visitor gets a new anonymous id.

        Raises:
            StorageError: The outbox cannot be written; the id stays.
            ClosedError: The client is shut down.
        """
        await self._run(lambda inner: inner.reset())

    async def reset_session(self) -> None:
        """Forget the session tokens of a public key, so that the next batch mints anew.

        Raises:
            ClosedError: The client is shut down.
        """
        await self._run(lambda inner: inner.reset_session())

    async def forget(self, identity: str) -> int:
        """Erase what waits of a person, and their dead letters, as `SegOpsClient.forget` does.

        Args:
            identity: A user id, or a visitor's anonymous id.

        Returns:
            How many waiting events and dead letters were erased.

        Raises:
            ConfigurationError: It is no text that can be encoded, or empty.
            StorageError: The outbox cannot be written, or another process keeps SQLite's log
                in use; then some of it may still be on disk: call it again.
            ClosedError: The client is shut down.
        """
        return await self._run(lambda inner: inner.forget(identity))

    async def set_api_key(self, api_key: str) -> None:
        """Send with another key from now on; what waited for a key that works goes on at once.

        Args:
            api_key: The new key, of the same kind (``sk_…`` or ``pk_…``) as the old one.

        Raises:
            ConfigurationError: It is no key, or one of another kind; the old one stays.
            StorageError: The outbox cannot be written; the old one stays.
            ClosedError: The client is shut down.
        """
        await self._run(lambda inner: inner.set_api_key(api_key))

    async def dead_letters(self) -> AsyncIterator[DeadLetter]:
        """Iterate over the events that are not sent any more, oldest first: ``async for``.

        Raises:
            StorageError: The outbox cannot be read.
            ClosedError: The client is shut down.
        """
        letters = await self._run(lambda inner: inner.dead_letters())
        while page := await self._run(lambda _: list(islice(letters, _LETTERS_AT_ONCE))):
            for letter in page:
                yield letter

    async def retry_dead_letters(self, ids: Iterable[int] | None = None) -> int:
        """Put dead letters back into the queue, to be sent again; in the order of their ids.

        Args:
            ids: Which. Defaults to those that SegOps refused, or found too large, and those that
                expired, as in `SegOpsClient.retry_dead_letters`.

        Returns:
            How many were put back; one that is damaged, or not there, is passed over.

        Raises:
            ConfigurationError: An id is no integer.
            StorageError: The outbox cannot be written; letters not put back stay.
            ClosedError: The client is shut down.
        """
        return await self._run(lambda inner: inner.retry_dead_letters(ids))

    async def discard_dead_letters(self, ids: Iterable[int]) -> int:
        """Remove dead letters for good.

        Args:
            ids: Which.

        Returns:
            How many were removed; an id that is not there is passed over.

        Raises:
            ConfigurationError: An id is no integer.
            StorageError: The outbox cannot be written.
            ClosedError: The client is shut down.
        """
        return await self._run(lambda inner: inner.discard_dead_letters(ids))
