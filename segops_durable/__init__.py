"""The SegOps client that keeps every event on disk until SegOps has accepted it.

import segops_durable as segops

client = segops.SegOpsClient("https://api.segops.ai", "sk_...")
client.track(user_id="u-123", event_type="order_placed", payload={"total": 42})
client.shutdown()

Each name is loaded when it is first asked for. (Nothing here asserts: PYTEST_DONT_REWRITE.)
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from segops_durable._version import __version__
from segops_durable.system.on_demand import on_demand

if TYPE_CHECKING:
    from segops_durable.client import BlockedLoopWarning, Options, Overflow, SegOpsClient
    from segops_durable.delivery import FlushResult, State, Stats
    from segops_durable.errors import (
        BusyOutboxError,
        ChangedFileError,
        CheckpointConflictError,
        ClosedError,
        ConfigurationError,
        CopiedOutboxError,
        CredentialsError,
        DamagedCheckpointError,
        DamagedEventError,
        DamagedOutboxError,
        DeliveryError,
        DroppedEventsError,
        ErasedTooLateError,
        ExpiredEventsError,
        GateError,
        IdentityError,
        ImportStoppedError,
        InvalidEventError,
        KafkaGapError,
        KafkaStoppedError,
        KeyKindError,
        MendedOutboxError,
        NoThreadError,
        NotSegOpsError,
        PendingEventsError,
        QueueFullError,
        RateLimitedError,
        RefusedError,
        ReplacedOutboxError,
        SegOpsError,
        SkippedEventsError,
        StorageError,
        StrandedEventsError,
        UncopyableClientError,
        UnreachableError,
        WrongAddressError,
        WrongLoopError,
    )
    from segops_durable.events import Context, Event
    from segops_durable.identity import UserContext, sign_user_id, verify_user_id
    from segops_durable.intake.imports import (
        Cast,
        EventKind,
        FieldMap,
        FileOptions,
        Importer,
        ImportResult,
        Mended,
        Nan,
        Prepared,
        Progress,
        Source,
        TimeUnit,
        open_sources,
    )
    from segops_durable.outbox import Cause, DeadLetter, Durability
    from segops_durable.own_database import OutboxIn, outbox_in
else:
    __getattr__, __dir__ = on_demand(
        __name__,
        {
            "segops_durable.client": "BlockedLoopWarning Options Overflow SegOpsClient",
            "segops_durable.delivery": "FlushResult State Stats",
            "segops_durable.errors": "BusyOutboxError ChangedFileError CheckpointConflictError "
            "ClosedError ConfigurationError CopiedOutboxError CredentialsError "
            "DamagedCheckpointError DamagedEventError DamagedOutboxError "
            "DeliveryError DroppedEventsError ErasedTooLateError ExpiredEventsError GateError "
            "IdentityError "
            "ImportStoppedError InvalidEventError KafkaGapError KafkaStoppedError KeyKindError "
            "MendedOutboxError NoThreadError NotSegOpsError PendingEventsError QueueFullError "
            "RateLimitedError RefusedError ReplacedOutboxError SegOpsError "
            "SkippedEventsError StorageError StrandedEventsError "
            "UncopyableClientError UnreachableError WrongAddressError WrongLoopError",
            "segops_durable.events": "Context Event",
            "segops_durable.identity": "UserContext sign_user_id verify_user_id",
            "segops_durable.intake.imports": "Cast EventKind FieldMap FileOptions Importer "
            "ImportResult Mended Nan Prepared Progress Source TimeUnit open_sources",
            "segops_durable.outbox": "Cause DeadLetter Durability",
            "segops_durable.own_database": "OutboxIn outbox_in",
        },
    )

__all__ = [
    "BlockedLoopWarning",
    "BusyOutboxError",
    "Cast",
    "Cause",
    "ChangedFileError",
    "CheckpointConflictError",
    "ClosedError",
    "ConfigurationError",
    "Context",
    "CopiedOutboxError",
    "CredentialsError",
    "DamagedCheckpointError",
    "DamagedEventError",
    "DamagedOutboxError",
    "DeadLetter",
    "DeliveryError",
    "DroppedEventsError",
    "Durability",
    "ErasedTooLateError",
    "Event",
    "EventKind",
    "ExpiredEventsError",
    "FieldMap",
    "FileOptions",
    "FlushResult",
    "GateError",
    "IdentityError",
    "ImportResult",
    "ImportStoppedError",
    "Importer",
    "InvalidEventError",
    "KafkaGapError",
    "KafkaStoppedError",
    "KeyKindError",
    "Mended",
    "MendedOutboxError",
    "Nan",
    "NoThreadError",
    "NotSegOpsError",
    "Options",
    "OutboxIn",
    "Overflow",
    "PendingEventsError",
    "Prepared",
    "Progress",
    "QueueFullError",
    "RateLimitedError",
    "RefusedError",
    "ReplacedOutboxError",
    "SegOpsClient",
    "SegOpsError",
    "SkippedEventsError",
    "Source",
    "State",
    "Stats",
    "StorageError",
    "StrandedEventsError",
    "TimeUnit",
    "UncopyableClientError",
    "UnreachableError",
    "UserContext",
    "WrongAddressError",
    "WrongLoopError",
    "__version__",
    "open_sources",
    "outbox_in",
    "sign_user_id",
    "verify_user_id",
]
