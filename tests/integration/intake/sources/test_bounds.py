"""One bad record of a file costs itself: not its neighbours, not the import, not the memory."""

from __future__ import annotations

import datetime as dt
import io
import json
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from segops_durable import ImportResult, SegOpsClient
from segops_durable.intake.imports import FileOptions, open_source
from segops_durable.intake.sources.bad_record import BadRecord
from segops_durable.intake.sources.csv_dialect import Dialect
from segops_durable.intake.sources.csv_records import CsvRecords
from segops_durable.intake.sources.encodings import Encoding
from segops_durable.intake.sources.lines import bounded_lines

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.one_python

HEADER = "user_id,event_type,note\n"
GHOSTS = "".join(f"ghost-{number},door_opened,x\n" for number in range(9000))


def stored(client: SegOpsClient) -> list[Any]:
    return [json.loads(row.data) for row in client._outbox.waiting.peek(100_000)]


def rejected(path: Path) -> list[Any]:
    return [json.loads(line) for line in path.read_text().splitlines()]


@pytest.mark.long
@pytest.mark.parametrize(
    ("record", "reason"),
    [
        (f'u1,page_saved,"{"x" * 300_000}"\n', "must have at most"),
        (f'u1,page_saved,"{GHOSTS}"\n', "9001 lines: 1000 are allowed"),
        (f'"{GHOSTS}",page_saved,"a ""quoted"" note"\n', "9001 lines"),
        (f'u1,5" pipe,"{GHOSTS}{GHOSTS}"\n', "18001 lines"),
        (f'"u1"x,page_saved,"\n{GHOSTS}"\n', "is expected after"),
        (f"u1,page_saved,{'x' * 300_000}\n", "must have at most"),
        (f'u1,page_saved,"{"x" * (5 << 20)}"\n', "longer than"),
        (f'u1,page_saved,"{GHOSTS * 20}"\n', "180001 lines"),
        (f'{"x," * (3 << 20)}"{GHOSTS}"\n', "longer than"),
    ],
    ids=range(9),
)
def test_a_record_of_csv_that_cannot_be_had_is_one_bad_record(
    client: SegOpsClient, tmp_path: Path, record: str, reason: str
) -> None:
    path, rejects = tmp_path / "a.csv", tmp_path / "rejects.jsonl"
    path.write_text(f"{HEADER}u0,page_saved,a\n{record}u2,page_saved,b\n")
    result = client.import_events(path, rejects=rejects)
    assert (result.stored, result.rejected) == (2, 1)
    assert [event["user_id"] for event in stored(client)] == ["u0", "u2"]
    (bad,) = rejected(rejects)
    assert reason in bad["reason"]
    assert bad["record"]
    assert len(record) < 1 << 20 or rejects.stat().st_size < 10_000
    assert client.import_events(path) == ImportResult(0, 0, 2, rejected_before=1)


def test_a_field_over_many_lines_is_one_value(client: SegOpsClient, tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text(f'{HEADER}u1,page_saved,"{GHOSTS[:120_000]}"\nu2,page_saved,"a\n""b"""\n')
    source = open_source(path, options=FileOptions(max_record_lines=9000))
    assert client.import_events(source).stored == 2
    notes = [event["payload"]["note"] for event in stored(client)]
    assert notes == [GHOSTS[:120_000], 'a\n"b"']


class Trickle:
    """A stream that gives no more than is asked for, and counts what it was asked."""

    def __init__(self, stream: io.BytesIO) -> None:
        self._stream = stream
        self.most = 0

    def readline(self, size: int = -1) -> bytes:
        assert size > 0, "a line would be read whole"
        self.most = max(self.most, size)
        return self._stream.readline(size)


def test_no_more_of_a_line_is_read_at_once_than_a_line_may_have() -> None:
    text = b"short\n" + b"x" * 10_000 + b"\nmore\n" + b"y" * 10_000
    stream: Any = Trickle(io.BytesIO(text))
    lines = list(bounded_lines(stream, 100))
    assert [(each.size, each.is_whole, each.is_ended) for each in lines] == [
        (6, True, True),
        (10_001, False, True),
        (5, True, True),
        (10_000, False, False),
    ]
    assert stream.most <= 101
    stream = Trickle(io.BytesIO(text.replace(b"x", b'",').replace(b"y", b"z\n")))
    records = CsvRecords(stream, Dialect(",", '"', Encoding("utf-8"), 1000, 100))
    found = list(records)
    assert found[0] == ["short"]
    assert isinstance(found[1], BadRecord)
    assert (records.offset, stream.most) == (len(text) + 20_000, 101)


def table(**columns: Any) -> pa.Table:
    rows = len(next(iter(columns.values())))
    return pa.table({"user_id": ["u"] * rows, "event_type": ["row_read"] * rows, **columns})


def test_a_date_beyond_the_calendar_costs_its_row_alone(
    client: SegOpsClient, tmp_path: Path
) -> None:
    days = [20_000] * 12_000
    days[7] = days[11_999] = 6_600_000
    path, rejects = tmp_path / "a.parquet", tmp_path / "rejects.jsonl"
    pq.write_table(table(day=pa.array(days, pa.date32()), n=list(range(12_000))), path)
    result = client.import_events(path, rejects=rejects)
    assert (result.stored, result.rejected) == (11_998, 2)
    found = [event["payload"]["n"] for event in stored(client)]
    assert found == [n for n in range(12_000) if n not in {7, 11_999}]
    bad = rejected(rejects)
    assert [each["line"] for each in bad] == [8, 12_000]
    assert bad[1]["values"]["n"] == 11999
    assert client.import_events(path) == ImportResult(0, 0, 11_998, rejected_before=2)


@pytest.mark.parametrize("kind", [pa.string(), pa.binary(), pa.large_string()])
def test_a_text_that_stands_in_every_row_is_not_taken_apart_at_once(
    client: SegOpsClient, tmp_path: Path, kind: pa.DataType
) -> None:
    rows = 600
    big = pa.array(["x" * (5 << 20), "y"]).cast(kind)
    where = pa.array([0 if number % 3 else 1 for number in range(rows)], pa.int32())
    path = tmp_path / "a.parquet"
    written = table(big=pa.DictionaryArray.from_arrays(where, big), n=list(range(rows)))
    pq.write_table(written, path, compression="zstd", store_schema=False)
    assert path.stat().st_size < 100_000
    before = pa.total_allocated_bytes()
    most = 0

    def look(_progress: object) -> None:
        nonlocal most
        most = max(most, pa.total_allocated_bytes() - before)

    result = client.import_events(path, on_progress=look)
    assert (result.stored, result.rejected) == (200, 400)
    assert most < 100 << 20


@pytest.mark.long
def test_a_row_group_of_large_rows_is_read_a_few_at_a_time(
    client: SegOpsClient, tmp_path: Path
) -> None:
    path = tmp_path / "a.parquet"
    texts = [f"{number:0150000}" for number in range(1500)]
    lists = [[f"{number:010000}"] * 3 for number in range(1500)]
    when = dt.datetime(2026, 1, 1, tzinfo=dt.timezone.utc)
    written = table(text=texts, many=lists, occurred_at=[when] * 1500)
    pq.write_table(written, path, compression="zstd", use_dictionary=False)
    chunks: list[int] = []
    result = client.import_events(path, on_progress=lambda now: chunks.append(now.stored))
    assert result.stored == 1500
    assert len(chunks) >= 3
