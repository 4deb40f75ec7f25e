"""What takes the place of an outbox file: a new one, with all that can be had of the old."""

from __future__ import annotations

import sqlite3
from contextlib import closing, contextmanager
from dataclasses import replace
from io import BytesIO
from typing import TYPE_CHECKING

from segops_durable.outbox.disk.files import file_id
from segops_durable.outbox.disk.holding import opened
from segops_durable.outbox.disk.pages import Pages
from segops_durable.outbox.records.ownership import make_successor
from segops_durable.outbox.records.tally import count_rows
from segops_durable.outbox.store.failures import is_damage
from segops_durable.outbox.store.inspection import log_of
from segops_durable.outbox.store.salvage.salvage import salvage
from segops_durable.outbox.store.salvage.wreck import Wreck
from segops_durable.outbox.store.upgrading import upgrade, version_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path
    from typing import BinaryIO

    from segops_durable.outbox.records.incidents import Incident
    from segops_durable.outbox.store.event_queue import EventQueue
    from segops_durable.outbox.store.ledger import Throughput


class Successors:
    """Fills new files for one outbox, each complete, and with a note of what has happened.

    Args:
        path: The outbox file.
        open_queue: Opens an outbox file.
        noted: Says what was noted outside the file of the outbox with a UUID.
    """

    def __init__(
        self,
        path: Path,
        open_queue: Callable[[Path], EventQueue],
        noted: Callable[[str], Throughput | None],
    ) -> None:
        self._path = path
        self._open_queue = open_queue
        self._noted = noted

    def fill_from_wreck(self, incident: Incident, new: Path) -> None:
        """Fill a new file with what can be read in the bytes of the old one."""
        log = log_of(self._path)
        with closing(self._open_queue(new)) as queue, _opened(self._path) as file:
            upgrade(queue.writer, 0)
            salvage(Wreck(Pages(file, log), incident, self._noted), queue.writer)

    def fill_from_connection(self, old: EventQueue, incident: Incident, new: Path) -> None:
        """Fill a new file with what an open connection still reads of one that is gone."""
        found = 0
        try:
            with closing(sqlite3.connect(new)) as target:
                old.writer.backup(target)  # other threads may be reading with the reader
                found = count_rows(old.writer)
        except sqlite3.DatabaseError as error:
            if not is_damage(error):  # of a disk that is full, say: then it is there another time
                raise
        text = f"was deleted or moved; {found} events were carried over"
        with closing(self._open_queue(new)) as queue:
            upgrade(queue.writer, version_of(queue.reader))
            queue.writer.execute("BEGIN IMMEDIATE")
            make_successor(queue.writer)
            replace(incident, text=text).write(queue.writer)
            queue.writer.execute("COMMIT")


@contextmanager
def _opened(path: Path) -> Iterator[BinaryIO]:
    """The bytes of a file; none where there is none, but for its log."""
    if file_id(path) is None:
        yield BytesIO()
        return
    with opened(path) as file:
        yield file
