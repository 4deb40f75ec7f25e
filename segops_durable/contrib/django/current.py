"""The client of a process: made when it is first asked for, so that a reloader makes none."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

from django.conf import settings
from django.db import transaction

from segops_durable import ConfigurationError, SegOpsClient
from segops_durable.errors.plain_text import shown
from segops_durable.events import encode_event, make_event

_CLIENTS: dict[str, SegOpsClient] = {}


def client() -> SegOpsClient:
    """The client of this process; the same one each time, on all threads.

    Raises:
        ConfigurationError: ``settings.SEGOPS`` and the environment do not say what it needs, or
            what cannot be.
        StorageError: The outbox cannot be opened.
    """
    found = _CLIENTS.get("")
    if found is None:
        made = SegOpsClient.from_env(**chosen())
        found = _CLIENTS.setdefault("", made)
        if found is not made:  # another thread was quicker
            made.shutdown(0)
    return found


def chosen() -> dict[str, Any]:
    """The options that ``settings.SEGOPS`` has.

    Raises:
        ConfigurationError: It is no dict.
    """
    options: object = getattr(settings, "SEGOPS", {})
    if not isinstance(options, dict):
        raise ConfigurationError(f"SEGOPS must be a dict, got {shown(options)}", field="SEGOPS")
    return options.copy()


def track_on_commit(*, using: str | None = None, **event: Any) -> None:
    """Track an event once the present transaction has been committed; at once if there is none.

    If the transaction is rolled back, nothing is tracked. A process that is killed between the two
    commits, of the database and of the outbox, has sold something and tracked nothing.

    Args:
        using: The database. Defaults to the default one.
        **event: What `SegOpsClient.track` takes, as it is now; `occurred_at` defaults to the
            time of the commit.

    Raises:
        InvalidEventError: It is no event, or cannot be sent.
    """
    encode_event(event)  # what cannot be sent is an error here, and not after the commit
    made = deepcopy(make_event(event))
    transaction.on_commit(lambda: client().track(made), using=using)
