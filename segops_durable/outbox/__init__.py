"""The queue on disk: append, take the next batch, settle it.

`outbox.outbox` has the contract, and `FORMAT.md` what is on the disk: each file, table and
column, the life of a row, and which sync makes which promise true.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from segops_durable.system.on_demand import on_demand

if TYPE_CHECKING:
    from segops_durable.outbox.adoption import Adopted
    from segops_durable.outbox.caps import Caps
    from segops_durable.outbox.checkpoints import check_follows, check_job, encoded_position
    from segops_durable.outbox.dead_letters import checked_ids
    from segops_durable.outbox.discovery import (
        Leftover,
        find_leftovers,
        find_outbox,
        look_into,
        owner_of,
        tell_of_leftovers,
    )
    from segops_durable.outbox.disk.files import (
        check_database,
        damaged_copies,
        filesystem_of,
        is_network_filesystem,
    )
    from segops_durable.outbox.exported_line import check_line, not_exported, read_line
    from segops_durable.outbox.outbox import Outbox
    from segops_durable.outbox.receipts import Receipt, Receipts, RepeatedRequestError
    from segops_durable.outbox.records.batch import Batch, Settlement, Take, Taken
    from segops_durable.outbox.records.letters import Cause, DeadLetter, Letter, read_event
    from segops_durable.outbox.records.rows import Checkpoint, Entry, Row
    from segops_durable.outbox.skipped import SkippedBatch
    from segops_durable.outbox.store.event_queue import Durability
    from segops_durable.outbox.store.gate import LOCK_TIMEOUT
    from segops_durable.outbox.store.recognizing import is_unused, refuse_damaged, refuse_stranger
    from segops_durable.outbox.store.replacing import new_file_of
    from segops_durable.outbox.store.scanning import (
        DamagedRecords,
        finished_copies,
        scan,
        scan_records,
    )
    from segops_durable.outbox.transfer import Place
    from segops_durable.outbox.waiting import Counts, Head
else:
    __getattr__, __dir__ = on_demand(
        __name__,
        {
            "segops_durable.outbox.adoption": "Adopted",
            "segops_durable.outbox.caps": "Caps",
            "segops_durable.outbox.checkpoints": "check_follows check_job encoded_position",
            "segops_durable.outbox.dead_letters": "checked_ids",
            "segops_durable.outbox.discovery": "Leftover find_leftovers find_outbox look_into "
            "owner_of tell_of_leftovers",
            "segops_durable.outbox.disk.files": "check_database damaged_copies filesystem_of "
            "is_network_filesystem",
            "segops_durable.outbox.exported_line": "check_line not_exported read_line",
            "segops_durable.outbox.outbox": "Outbox",
            "segops_durable.outbox.receipts": "Receipt Receipts RepeatedRequestError",
            "segops_durable.outbox.records.letters": "Cause DeadLetter Letter read_event",
            "segops_durable.outbox.records.batch": "Batch Settlement Take Taken",
            "segops_durable.outbox.records.rows": "Checkpoint Entry Row",
            "segops_durable.outbox.skipped": "SkippedBatch",
            "segops_durable.outbox.waiting": "Counts Head",
            "segops_durable.outbox.store.event_queue": "Durability",
            "segops_durable.outbox.store.gate": "LOCK_TIMEOUT",
            "segops_durable.outbox.store.recognizing": "is_unused refuse_damaged refuse_stranger",
            "segops_durable.outbox.store.replacing": "new_file_of",
            "segops_durable.outbox.store.scanning": "DamagedRecords finished_copies scan "
            "scan_records",
            "segops_durable.outbox.transfer": "Place",
        },
    )

__all__ = [
    "LOCK_TIMEOUT",
    "Adopted",
    "Batch",
    "Caps",
    "Cause",
    "Checkpoint",
    "Counts",
    "DamagedRecords",
    "DeadLetter",
    "Durability",
    "Entry",
    "Head",
    "Leftover",
    "Letter",
    "Outbox",
    "Place",
    "Receipt",
    "Receipts",
    "RepeatedRequestError",
    "Row",
    "Settlement",
    "SkippedBatch",
    "Take",
    "Taken",
    "check_database",
    "check_follows",
    "check_job",
    "check_line",
    "checked_ids",
    "damaged_copies",
    "encoded_position",
    "filesystem_of",
    "find_leftovers",
    "find_outbox",
    "finished_copies",
    "is_network_filesystem",
    "is_unused",
    "look_into",
    "new_file_of",
    "not_exported",
    "owner_of",
    "read_event",
    "read_line",
    "refuse_damaged",
    "refuse_stranger",
    "scan",
    "scan_records",
    "tell_of_leftovers",
]
