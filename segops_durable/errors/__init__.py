"""Every error that this package raises or reports.

    SegOpsError
    ├── ConfigurationError (ValueError)     a wrong option, refused at construction
    ├── InvalidEventError (ValueError)      an event that cannot be sent as it is
    ├── StorageError                        the outbox could not be read or written
    │   ├── QueueFullError                  no room: a cap that you set, or a full disk
    │   ├── BusyOutboxError                 another process holds the file, and may be stopped
    │   ├── DamagedOutboxError              reported: the file was damaged, and is replaced
    │   ├── MendedOutboxError               reported: a record was damaged, and mended in its place
    │   ├── DamagedCheckpointError          nobody can say how far a job has come
    │   ├── ReplacedOutboxError             reported: the file vanished, or another took its place
    │   ├── CopiedOutboxError               reported: the file is a copy, or was restored
    │   └── StrandedEventsError             reported: events wait in a file that nobody sends from
    ├── ClosedError                         the client was used after shutdown
    ├── UncopyableClientError (TypeError)   a client is pickled, copied or sent to a process
    ├── WrongLoopError (RuntimeError)       an AsyncSegOpsClient is closed in a loop not its own
    ├── CheckpointConflictError             two processes do the same job; nothing was stored
    ├── ImportStoppedError                  an import met too many bad lines, or a damaged file
    │   └── ChangedFileError                it is not what was imported of it, or may be another
    ├── KafkaStoppedError                   consuming of Kafka could not go on
    │   └── KafkaGapError                   messages were deleted unread, or the topic is another
    ├── PendingEventsError                  raised by FlushResult.raise_for_pending()
    ├── DroppedEventsError                  reported: the oldest events gave way to new ones
    ├── ExpiredEventsError                  reported: events waited longer than max_age
    └── DeliveryError                       reported to on_error, never raised by track()
        ├── UnreachableError                no connection, a timeout, or a 5xx
        ├── NotSegOpsError                  something else answered: a captive portal, a proxy
        ├── RateLimitedError                SegOps asks for patience (408, 425, 429)
        ├── CredentialsError                the key was not accepted (401, 403)
        ├── WrongAddressError               SegOps has no such resource (404, 405, 410)
        ├── RefusedError                    SegOps refused a batch (400, 413, 422)
        ├── SkippedEventsError              SegOps accepted a batch but skipped events in it
        ├── DamagedEventError               stored bytes no longer match their checksum
        ├── ErasedTooLateError              events were on their way when `forget` erased them
        ├── IdentityError                   no session for the user that an event belongs to
        ├── KeyKindError                    events were tracked under the other kind of key
        ├── GateError                       may_send raised, or said what cannot be meant
        └── NoThreadError                   no thread can be started to send events

Each carries its data as attributes, and `hint`: what to do about it, in a sentence.

The rooms are called by what goes wrong: `base` (and what a call raises at once), `storage`,
`delivery` and `jobs`. Two more keep what any of their texts may quote from doing harm, and are
entered by their names: `redaction` takes secrets out, `plain_text` what a terminal would obey.
"""

from __future__ import annotations

from segops_durable.errors.base import (
    ClosedError,
    ConfigurationError,
    InvalidEventError,
    PendingEventsError,
    SegOpsError,
    UncopyableClientError,
    WrongLoopError,
)
from segops_durable.errors.delivery import (
    CredentialsError,
    DamagedEventError,
    DeliveryError,
    ErasedTooLateError,
    GateError,
    IdentityError,
    KeyKindError,
    NoThreadError,
    NotSegOpsError,
    RateLimitedError,
    RefusedError,
    SkippedEventsError,
    UnreachableError,
    WrongAddressError,
)
from segops_durable.errors.jobs import (
    ChangedFileError,
    CheckpointConflictError,
    ImportStoppedError,
    KafkaGapError,
    KafkaStoppedError,
)
from segops_durable.errors.storage import (
    BusyOutboxError,
    CopiedOutboxError,
    DamagedCheckpointError,
    DamagedOutboxError,
    DroppedEventsError,
    ExpiredEventsError,
    MendedOutboxError,
    QueueFullError,
    ReplacedOutboxError,
    StorageError,
    StrandedEventsError,
)

__all__ = [
    "BusyOutboxError",
    "ChangedFileError",
    "CheckpointConflictError",
    "ClosedError",
    "ConfigurationError",
    "CopiedOutboxError",
    "CredentialsError",
    "DamagedCheckpointError",
    "DamagedEventError",
    "DamagedOutboxError",
    "DeliveryError",
    "DroppedEventsError",
    "ErasedTooLateError",
    "ExpiredEventsError",
    "GateError",
    "IdentityError",
    "ImportStoppedError",
    "InvalidEventError",
    "KafkaGapError",
    "KafkaStoppedError",
    "KeyKindError",
    "MendedOutboxError",
    "NoThreadError",
    "NotSegOpsError",
    "PendingEventsError",
    "QueueFullError",
    "RateLimitedError",
    "RefusedError",
    "ReplacedOutboxError",
    "SegOpsError",
    "SkippedEventsError",
    "StorageError",
    "StrandedEventsError",
    "UncopyableClientError",
    "UnreachableError",
    "WrongAddressError",
    "WrongLoopError",
]
