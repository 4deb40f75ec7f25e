"""Whose an outbox is, and who it is, as its file has it and as this process knows it."""

from __future__ import annotations

import logging
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING

from segops_durable.outbox.records.notes import read_note, write_note
from segops_durable.outbox.records.ownership import bind, rebind, renew_anonymous_id

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable
    from pathlib import Path

    from segops_durable.errors import SegOpsError
    from segops_durable.outbox.store.store import Store

_log = logging.getLogger("segops_durable")


class Binding:
    """Makes sure of each file that is opened that it is ours, and learns which one it is.

    Args:
        path: The outbox file.
        api_url: Whose events these are.
        key_fingerprint: A hash of the API key, to notice that it was rotated.
        tell: Called with what is to be told of a file that turns out to be a copy.
        given: The UUID that it has to have; None where each file has one of its own.

    Attributes:
        api_url: Whose events these are.
        uuid: The outbox's own; empty until a file was opened.
    """

    def __init__(
        self,
        path: Path,
        api_url: str,
        key_fingerprint: str,
        tell: Callable[[SegOpsError], None],
        given: str | None = None,
    ) -> None:
        self.api_url: str = api_url
        self.uuid: str = ""
        self._path = path
        self._key_fingerprint = key_fingerprint
        self._tell = tell
        self._given = given
        self._is_key_new = False

    def bind(self, writer: sqlite3.Connection) -> None:
        """Bind a file that was opened, or refuse it.

        Raises:
            ConfigurationError: It belongs to another `api_url`.
        """
        bound = bind(writer, self._path, self.api_url, self._key_fingerprint, self._given)
        self.uuid = bound.uuid
        self._is_key_new = self._is_key_new or bound.is_key_new
        if bound.copied is not None:
            self._tell(bound.copied)

    def use(self, api_url: str, key_fingerprint: str) -> None:
        """Expect files of this `api_url` and key from now on."""
        self.api_url, self._key_fingerprint = api_url, key_fingerprint

    def log_new_key(self) -> None:
        """Log a rotation; not where it is noticed, as a handler that tracks would be inside."""
        if self._is_key_new:
            self._is_key_new = False
            text = "the API key of %s was rotated; waiting events go out under it"
            with suppress(Exception):  # of the application's handlers: `logging` lets it through
                _log.info(text, self._path)


class Owner:
    """Whose an open outbox is: its `api_url`, its key, the visitor of its device.

    Args:
        store: The open outbox file.
        binding: What binds it.
    """

    def __init__(self, store: Store, binding: Binding) -> None:
        self._store = store
        self._binding = binding

    @property
    def uuid(self) -> str:
        """The outbox's own UUID, the first part of its batches' keys."""
        return self._binding.uuid

    @property
    def api_url(self) -> str:
        """Whose events these are."""
        return self._binding.api_url

    def keep_key(self, key_fingerprint: str) -> None:
        """Write down that the API key was replaced."""
        self._store.transact(lambda writer: write_note(writer, "key", key_fingerprint))
        self._binding.use(self.api_url, key_fingerprint)

    def rebind(self, api_url: str, key_fingerprint: str) -> None:
        """Be for another `api_url` and key from now on, with all that waits. For the sender."""
        self._store.transact(lambda writer: rebind(writer, api_url, key_fingerprint))
        self._binding.use(api_url, key_fingerprint)

    def anonymous_id(self) -> str:
        """The id of the device's visitor, which any process may have made anew."""
        found = self._store.look(partial(read_note, name="anonymous_id"))
        return found or self.renew_anonymous_id()

    def renew_anonymous_id(self) -> str:
        """Make a new id, and return it: the next visitor is another person."""
        return self._store.transact(renew_anonymous_id)
