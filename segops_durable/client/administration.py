"""Who uses the device, which key is sent with, and what could not be sent."""

from __future__ import annotations

from typing import TYPE_CHECKING

from segops_durable.client.opened import Opened
from segops_durable.errors import ConfigurationError
from segops_durable.errors.plain_text import shown
from segops_durable.events import is_unicode

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from segops_durable.outbox import DeadLetter


class Administration(Opened):
    """What looks after a client; the calls of `SegOpsClient`."""

    @property
    def anonymous_id(self) -> str:
        """The id of the device's visitor: made once, kept in the outbox file, until `reset`.

        Under a public key every event carries it, as with the official Swift client, unless
        `get_user` gives another one.

        Raises:
            StorageError: The outbox cannot be read.
            ClosedError: The client is shut down.
        """
        self._check_open()
        return self._outbox.owner.anonymous_id()

    def reset(self) -> None:
        """Forget who used the device, at log-out: the next visitor gets a new anonymous id.

        Session tokens are forgotten as well. What was tracked before is still sent for
        whomever it was tracked for.

        Raises:
            StorageError: The outbox cannot be written; the id stays.
            ClosedError: The client is shut down.
        """
        self._check_open()
        self._outbox.owner.renew_anonymous_id()
        self.reset_session()

    def reset_session(self) -> None:
        """Forget the session tokens of a public key, so that the next batch mints anew."""
        if self._delivery.current.handshake is not None:
            self._delivery.current.handshake.forget()

    def forget(self, identity: str) -> int:
        """Erase what waits of a person, and their dead letters, from the disk.

        Theirs is what was tracked while they used the device under a public key, and every
        event that names them as its `user_id` or, under a secret key, its `anonymous_id`. Once
        this returns, no request begins that has them in it. What is on its way at that moment
        may still arrive, which `on_error` hears as an `ErasedTooLateError`; what SegOps has is
        SegOps' to erase.

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
        self._check_open()
        _check_name(identity)
        # before anything waits: a request asks what this thread may have been interrupted in
        self._outbox.check_writable()
        try:
            return self._outbox.erasure.forget(identity)
        finally:  # also where SQLite's log could not be cut: the events are gone by then
            self._delivery.current.forget(identity)

    def set_api_key(self, api_key: str) -> None:
        """Send with another key from now on; what waited for a key that works goes on at once.

        For the rotation of keys while a device runs. Nothing that waits is lost or changed.

        Args:
            api_key: The new key, of the same kind (``sk_…`` or ``pk_…``) as the old one.

        Raises:
            ConfigurationError: It is no key, or one of another kind; the old one stays.
            StorageError: The outbox cannot be written; the old one stays.
            ClosedError: The client is shut down.
        """
        self._check_open()
        options = self._options.with_key(api_key)
        self._outbox.owner.keep_key(options.key_fingerprint)
        self._options = self._delivery.options = options
        self._delivery.current.use_key(api_key)

    def dead_letters(self) -> Iterator[DeadLetter]:
        """Iterate over the events that are not sent any more, oldest first.

        They are in the outbox file, and stay there until `retry_dead_letters` or
        `discard_dead_letters` takes them out.

        Raises:
            ClosedError: The client is shut down.
        """
        self._check_open()
        return iter(self._outbox.dead_letters)

    def retry_dead_letters(self, ids: Iterable[int] | None = None) -> int:
        """Put dead letters back into the queue, to be sent again; in the order of their ids.

        Args:
            ids: Which. Defaults to those that SegOps refused, or found too large, and those that
                expired. Events that SegOps may have accepted (`Cause.SKIPPED`) are put back only
                by name, as they could be doubled; damaged ones never, as they were never tracked
                so.

        Returns:
            How many were put back; one that is damaged, or not there, is passed over.

        Raises:
            ConfigurationError: An id is no integer.
            StorageError: The outbox cannot be written; letters not put back stay.
            ClosedError: The client is shut down.
        """
        self._check_open()
        count = self._outbox.dead_letters.retry(ids)
        self._delivery.current.flusher.notice(count)
        return count

    def discard_dead_letters(self, ids: Iterable[int]) -> int:
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
        self._check_open()
        return self._outbox.dead_letters.discard(ids)


def _check_name(identity: object) -> None:
    if not isinstance(identity, str) or not identity or not is_unicode(identity):
        problem = f"identity must be a user id or an anonymous id, got {shown(identity)}"
        raise ConfigurationError(problem, field="identity")
