"""What could not be delivered: what a task tells the driver of it, and the file of it there."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pyspark.sql.datasource import WriterCommitMessage

from segops_durable.errors.plain_text import json_text
from segops_durable.system.private_files import make_private_directory, replacing

if TYPE_CHECKING:
    from collections.abc import Sequence

    from segops_durable.outbox import DeadLetter
    from segops_durable.spark.place import Place

_UNSAFE = re.compile(r"[^A-Za-z0-9._-]+")


@dataclass(frozen=True)
class Delivered(WriterCommitMessage):  # type: ignore[misc]  # it is of the extra spark
    """How a partition was delivered, for the driver.

    Attributes:
        query: As `Place` has it, as the next two have.
        batch: The micro-batch.
        partition: The partition.
        rows: Rows that there were.
        accepted: Events that SegOps has accepted, in all attempts.
        errors: Rows that were no events, or were refused.
        letters: Of those, lines of JSON.
        changed: The first chunk that was not as in the attempt before; None if all were.
    """

    query: str
    batch: int
    partition: int
    rows: int = 0
    accepted: int = 0
    errors: int = 0
    letters: tuple[str, ...] = ()
    changed: int | None = None


def fields_of(letter: DeadLetter) -> dict[str, Any]:
    """What is told of an event that was refused."""
    fields = {
        "cause": letter.cause.value,
        "reason": letter.reason,
        "status": letter.status,
        "answer": letter.answer,
        "event": letter.event,
    }
    if letter.event is None:
        fields["data"] = letter.data.decode(errors="replace")
    return fields


def write_letters(directory: str, query: str, batch: int, messages: Sequence[Delivered]) -> Path:
    """Write what a write or a micro-batch could not deliver; the same file if it is repeated.

    Args:
        directory: Where to, on this machine.
        query: What the write is called.
        batch: The micro-batch.
        messages: What the tasks told.

    Raises:
        OSError: It cannot be written.
        StorageError: What is there is no file.
    """
    name = _UNSAFE.sub("_", query)[:100] or "_"
    path = Path(directory, f"{name}-{batch}.jsonl")
    make_private_directory(path.parent)
    with replacing(path) as stream:
        for each in messages:
            stream.writelines(f"{line}\n".encode() for line in each.letters)
    return path


def line_of(place: Place, fields: dict[str, Any]) -> str:
    """A line of that file: which rows it is of, and what is told."""
    return json_text({**place._asdict(), **fields})


class BadRows:
    """Rows that are no events, as far as they are told of; all are counted.

    Args:
        place: Which rows they are of.
        most: How many lines are kept at most.

    Attributes:
        count: How many there are.
    """

    def __init__(self, place: Place, most: int) -> None:
        self.count: int = 0
        self.most: int = most
        self._place = place
        self._lines: list[str] = []

    def add(self, fields: dict[str, Any]) -> None:
        """Take one."""
        self.count += 1
        if len(self._lines) < self.most:
            self._lines.append(line_of(self._place, fields))

    def lines(self) -> list[str]:
        """Lines of JSON, in an order of their own: Spark's is another one at each attempt."""
        return sorted(self._lines)
