"""A relay: SegOps' own paths on this machine, for every SDK, answered once events are on the disk.

- `serving` is a relay from its start to its end; `settings` says where it listens (`listening`),
  and whom it serves; `app` has its paths.
- `access` refuses what was not meant for it, `callers` says who sends events, `sessions` opens
  those of public keys, with `tokens` of its own, and `upstream` asks SegOps for them.
- `bodies` and `documents` read what is sent, bounded and checked; `answers` are in SegOps' shapes.
- `signing` has somebody sign for users, as a `command` of the application's does.
- `client` stores what was received, with receipts for requests that are made again.

Needs ``pip install "segops-durable[relay]"``.
"""

from __future__ import annotations

try:
    from segops_durable.relay.serving import Relay
    from segops_durable.relay.settings import RelaySettings
except ModuleNotFoundError as _error:
    if (_error.name or "").startswith("segops_durable"):
        raise
    raise ModuleNotFoundError(
        f'{_error.name} is not installed: pip install "segops-durable[relay]"', name=_error.name
    ) from _error

__all__ = ["Relay", "RelaySettings"]
