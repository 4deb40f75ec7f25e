"""What happened to the file, noted in the one that took its place until it was told.

The note is written in the transaction that fills the new file. So whoever finds the file
knows that it is complete, what it was made of, and what is to be said of it; also if the
process that made it was killed before it said so. Once told, the note stays: it says of a
file that was set aside that it has been read.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

from segops_durable.errors import DamagedOutboxError, ReplacedOutboxError
from segops_durable.outbox.records.schema import SELECT
from segops_durable.outbox.records.seals import is_sealed, put

if TYPE_CHECKING:
    import sqlite3
    from pathlib import Path

    from segops_durable.errors import SegOpsError

_PREFIX = "aside:"
_SELECT = f"{SELECT['meta']} WHERE name GLOB '{_PREFIX}*' ORDER BY name"


@dataclass(frozen=True)
class Incident:
    """Something that happened to the outbox file.

    Attributes:
        aside: The name of the file that was set aside.
        digest: What was in it and in its log, as SHA-256.
        problem: What was wrong with it; empty where another file took its place.
        text: What else is to be said.
        saved: Waiting events that went over.
        lost: Waiting events that did not; None if that is unknown.
        is_told: Whether it was told.
    """

    aside: str
    digest: str = ""
    problem: str = ""
    text: str = ""
    saved: int = 0
    lost: int | None = None
    is_told: bool = False

    def as_error(self, path: Path) -> SegOpsError:
        """What is told to the user of the outbox at a path."""
        if not self.problem:
            return ReplacedOutboxError(
                f"the outbox {path} {self.text}",
                path=str(path),
                hint="Let nothing but this package touch it while it is open",
            )
        lost = "an unknown number" if self.lost is None else str(self.lost)
        return DamagedOutboxError(
            f"the outbox {path} was damaged ({self.problem}): {self.text}, {lost} lost",
            path=str(path.with_name(self.aside)),
            saved=self.saved,
            lost=self.lost,
            hint=f"The damaged file is kept as {self.aside}; check the disk",
        )

    def write(self, writer: sqlite3.Connection) -> None:
        """Note it, within the caller's transaction."""
        name = self.aside.encode(errors="backslashreplace").decode()  # it may be no UTF-8
        put(writer, "meta", [(_PREFIX + name, json.dumps(asdict(self)))])


def noted_incidents(connection: sqlite3.Connection) -> list[Incident]:
    """All that are noted in a file, told or not."""
    records = connection.execute(_SELECT).fetchall()
    return [_incident(each[1]) for each in records if is_sealed("meta", each)]


def note_as_told(writer: sqlite3.Connection) -> None:
    """Note that all incidents were told, within the caller's transaction."""
    for each in noted_incidents(writer):
        if not each.is_told:
            replace(each, is_told=True).write(writer)


def _incident(text: str) -> Incident:
    fields: dict[str, Any] = json.loads(text)
    fields.pop("source", None)  # an earlier version knew the file by its number
    return Incident(**fields)
