"""Files of CSV, and what an import makes of them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from segops_durable.intake.imports import FileOptions, open_source
from segops_durable.intake.sources.source import BEGINNING

if TYPE_CHECKING:
    from pathlib import Path

    from segops_durable import SegOpsClient

HEADER = "user_id,event_type,note\n"
ROWS = "".join(f"u{number},sold,{number}\n" for number in range(2500))


def stored(client: SegOpsClient) -> list[Any]:
    return [json.loads(row.data) for row in client._outbox.waiting.peek(100_000)]


def notes(client: SegOpsClient) -> list[Any]:
    return [event["payload"].get("note") for event in stored(client)]


def parsed(path: Path, options: FileOptions | None = None) -> tuple[list[Any], list[Any]]:
    """The rows of a file as dicts, and the bad records."""
    source = open_source(path, options=options)
    good, bad = [], []
    for record in (record for chunk in source.chunks(BEGINNING) for record in chunk.records):
        try:
            good.append(source.parse(record)[0])
        except ValueError as error:  # noqa: PERF203 - it is the record's
            bad.append((record.line, record.last_line, str(error), record.raw))
    return good, bad
