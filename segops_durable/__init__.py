"""The SegOps client that keeps every event on disk until SegOps has accepted it.

import segops_durable as segops

client = segops.SegOpsClient("https://api.segops.ai", "sk_...")
client.track(user_id="u-123", event_type="order_placed", payload={"total": 42})
client.shutdown()
"""

from __future__ import annotations

from segops_durable._version import __version__
from segops_durable.client import SegOpsClient
from segops_durable.errors import (
    CheckpointConflictError,
    ClosedError,
    ConfigurationError,
    CredentialsError,
    DamagedEventError,
    DamagedOutboxError,
    DeliveryError,
    DroppedEventsError,
    IdentityError,
    ImportStoppedError,
    InvalidEventError,
    NotSegOpsError,
    PendingEventsError,
    QueueFullError,
    RateLimitedError,
    RefusedError,
    ReplacedOutboxError,
    SegOpsError,
    SkippedEventsError,
    StorageError,
    UnreachableError,
    WrongAddressError,
)
from segops_durable.events import Context, Event, UserContext
from segops_durable.importer import FieldMap, ImportResult
from segops_durable.outbox import Cause, DeadLetter
from segops_durable.signing import sign_user_id, verify_user_id
from segops_durable.status import FlushResult, State, Stats

__all__ = [
    "Cause",
    "CheckpointConflictError",
    "ClosedError",
    "ConfigurationError",
    "Context",
    "CredentialsError",
    "DamagedEventError",
    "DamagedOutboxError",
    "DeadLetter",
    "DeliveryError",
    "DroppedEventsError",
    "Event",
    "FieldMap",
    "FlushResult",
    "IdentityError",
    "ImportResult",
    "ImportStoppedError",
    "InvalidEventError",
    "NotSegOpsError",
    "PendingEventsError",
    "QueueFullError",
    "RateLimitedError",
    "RefusedError",
    "ReplacedOutboxError",
    "SegOpsClient",
    "SegOpsError",
    "SkippedEventsError",
    "State",
    "Stats",
    "StorageError",
    "UnreachableError",
    "UserContext",
    "WrongAddressError",
    "__version__",
    "sign_user_id",
    "verify_user_id",
]
