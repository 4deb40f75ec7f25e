"""The file of messages that are no events: as `import_rejected` reads it, once they are mended."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

from segops_durable.errors.plain_text import json_text
from segops_durable.intake.imports.mend_marks import marks
from segops_durable.intake.imports.rejects import Rejects
from segops_durable.intake.messages.columns import time_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from segops_durable.intake.messages.making import Maker
    from segops_durable.intake.messages.message import Bad


class Rejected:
    """Messages that are no events, as JSON Lines.

    A kill between the file and the transaction after it leaves lines that are written once more
    when the messages are read again: so those are taken away first.

    Args:
        path: Where they go; None for nowhere.
        maker: What has refused them.
    """

    def __init__(self, path: Path | None, maker: Maker) -> None:
        self._rejects = Rejects(path, "")
        self._maker = maker

    def cut_back(self, ends: Mapping[str, int]) -> None:
        """Take away what is at the place of a partition, or after it.

        Args:
            ends: The offset that is read next, by what the partition is called in the file.
        """
        self._rejects.cut_back(ends)

    def append(self, bad: Sequence[Bad], identity: str) -> None:
        """Write messages down; they are on disk when this returns.

        Args:
            bad: The messages.
            identity: What their partition is called in the file.

        Raises:
            StorageError: What is there is no file of ours.
            OSError: It cannot be written.
        """
        self._rejects.append([self._document(each, identity) for each in bad])

    def _document(self, bad: Bad, identity: str) -> dict[str, Any]:
        message = bad.message
        document: dict[str, Any] = {
            "file": f"{message.topic}/{message.partition}",
            "line": message.offset,
            "last_line": message.offset,
            "reason": bad.reason,
            "timestamp": time_of(message),
            **_as_text("key", message.key),
        }
        record = self._maker.record(message)
        if record is not None:
            document["record"] = json_text(record)
        else:
            document.update(_as_text("record", message.value or b""))
        told = {"import": identity, "mapping": self._maker.mapping, "format": "jsonl"}
        document = {**document, **told}
        return {**document, **marks(document)}


def _as_text(name: str, value: bytes | None) -> dict[str, str | None]:
    """Bytes as text, where they are one; or else as they are."""
    try:
        return {name: None if value is None else value.decode()}
    except ValueError:
        return {f"{name}_base64": base64.b64encode(value or b"").decode()}
