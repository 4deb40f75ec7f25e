"""The same events in a file of every format."""

from __future__ import annotations

import csv
import gzip
import io
import json
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

from segops_durable import FieldMap

if TYPE_CHECKING:
    from pathlib import Path

WHEN = "2026-01-31T12:00:00Z"
FIELDS = FieldMap(
    columns={"user_id": "email", "occurred_at": "at"}, constants={"event_type": "sold"}
)


def queued(path: Path) -> list[dict[str, Any]]:
    with closing(sqlite3.connect(path)) as file:
        rows = file.execute("SELECT data FROM queue_outbox ORDER BY _id").fetchall()
    return [json.loads(row[0]) for row in rows]


def records(count: int) -> list[dict[str, Any]]:
    return [
        {
            "email": f"user-{number}@example.org",
            "at": WHEN,
            "amount": number * 1.5,
            "count": number,
            "zip": "01234",
            "note": None if number % 3 else 'a "quoted", long\nnote é',
            "paid": number % 2 == 0,
        }
        for number in range(count)
    ]


def write(path: Path, rows: list[dict[str, Any]]) -> Path:
    """Write records in the format, and with the compression, that the name says."""
    text = io.StringIO()
    if ".parquet" in path.suffixes:
        pq.write_table(pa.Table.from_pylist(rows), path, row_group_size=700)
        return path
    if ".csv" in path.suffixes or ".tsv" in path.suffixes:
        delimiter = "\t" if ".tsv" in path.suffixes else ","
        writer = csv.DictWriter(text, rows[0], delimiter=delimiter)
        writer.writeheader()
        as_text = {True: "true", False: "false", None: ""}
        for row in rows:
            cells = {
                k: as_text[v] if v is None or v is True or v is False else v for k, v in row.items()
            }
            writer.writerow(cells)
    else:
        text.writelines(json.dumps(row) + "\n" for row in rows)
    data = text.getvalue().encode()
    if path.suffix == ".gz":
        path.write_bytes(gzip.compress(data))
    elif path.suffix == ".zst":
        with pa.output_stream(path, compression="zstd") as stream:
            stream.write(data)
    else:
        path.write_bytes(data)
    return path


NAMES = ("a.jsonl", "a.csv", "a.tsv", "a.parquet", "a.jsonl.gz", "a.csv.gz", "a.ndjson.zst")


class KilledError(BaseException):
    """Ends an import as a kill would: between any two transactions."""
