"""Whatever stands where a file was expected: read for what it is, or refused by its name."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import os
import socket
import subprocess
import sys
import threading
import zipfile
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from segops_durable import ConfigurationError, ImportResult, ImportStoppedError, SegOpsClient
from segops_durable.intake.imports import open_source
from segops_durable.intake.sources.source import BEGINNING

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

pytestmark = pytest.mark.one_python

ROWS = [{"user_id": f"u{number}", "event_type": "sold", "n": number} for number in range(500)]
LINES = "".join(f"{json.dumps(row)}\n" for row in ROWS).encode()
TABLE = b"user_id,event_type,n\n" + b"".join(b"u%d,sold,%d\n" % (n, n) for n in range(500))


def zstd(data: bytes) -> bytes:
    packed: bytes = pa.compress(data, codec="zstd", asbytes=True)
    return packed


PACKERS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "bzip2": bz2.compress,
    "xz": lzma.compress,
    "zstd": zstd,
}


def numbers(client: SegOpsClient) -> list[int]:
    return [json.loads(row.data)["payload"]["n"] for row in client._outbox.waiting.peek(100_000)]


@pytest.mark.parametrize("packer", PACKERS)
@pytest.mark.parametrize("name", ["X.JSONL.GZ", "a.jsonl", "a.csv", "a.csv.zst"])
def test_what_is_compressed_is_known_by_its_first_bytes(
    client: SegOpsClient, tmp_path: Path, packer: str, name: str
) -> None:
    pack, path = PACKERS[packer], tmp_path / name
    text = TABLE if ".csv" in name else LINES
    half = text.index(b"\n", len(text) // 2) + 1
    path.write_bytes(pack(text[:half]) + pack(text[half:]))  # archives may be joined
    assert open_source(path).describe().endswith(f", {packer}")
    assert client.import_events(path) == ImportResult(500, 0, 0)
    assert numbers(client) == list(range(500))
    assert client.import_events(path).stored_before == 500


@pytest.mark.parametrize("packer", PACKERS)
def test_a_stream_is_unpacked_as_a_file_is(client: SegOpsClient, packer: str) -> None:
    pack = PACKERS[packer]
    stream = io.BytesIO(pack(LINES))
    assert client.import_events(stream, job="j").stored == 500
    assert client.import_events(io.BytesIO(pack(TABLE)), file_format="csv").stored == 500
    assert not stream.closed
    more = LINES + b"".join(LINES.splitlines(keepends=True)[:3])
    assert client.import_events(io.BytesIO(pack(more)), job="j").stored == 3


@pytest.mark.parametrize("packer", PACKERS)
@pytest.mark.parametrize("share", [0.001, 0.5, 0.99])
def test_an_archive_that_is_cut_off_names_its_file(
    client: SegOpsClient, tmp_path: Path, packer: str, share: float
) -> None:
    path = tmp_path / "a.jsonl"
    whole = PACKERS[packer](LINES * 40)
    path.write_bytes(whole[: max(6, int(len(whole) * share))])
    with pytest.raises(ImportStoppedError, match=rf"{path} is cut off or damaged, as {packer}"):
        client.import_events(path)
    stored = client.stats().pending
    assert numbers(client) == [number % 500 for number in range(stored)]


def packed_zip() -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("a.jsonl", LINES)
    return file.getvalue()


def workbook() -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("[Content_Types].xml", "<Types/>")
    return file.getvalue()


def arrow_file() -> bytes:
    file = io.BytesIO()
    table = pa.Table.from_pylist(ROWS)
    with pa.ipc.new_file(file, table.schema) as writer:
        writer.write_table(table)
    return file.getvalue()


REFUSED: dict[str, bytes] = {
    "lz4": b"\x04\x22\x4d\x18" + b"\x60\x40\x82" * 9,
    "a zip archive": packed_zip(),
    "an Excel workbook": workbook(),
    "Arrow": arrow_file(),
    "Avro": b"Obj\x01\x04\x16avro.schema",
    "ORC": b"ORC\x0a\x08",
    "SQLite": b"SQLite format 3\x00" + bytes(80),
    "7-Zip": b"7z\xbc\xaf\x27\x1c\x00\x04",
    "tar archive": b"a.jsonl".ljust(257, b"\0") + b"ustar\x0000",
    "HTML": b"\n<!DOCTYPE html><title>404</title>",
    "XML": b"<?xml version='1.0'?><rows/>",
    "Git LFS": b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\n",
    "pickle": b"\x80\x04\x95\x10\x00\x00\x00",
    "one array of JSON": json.dumps(ROWS).encode(),
    "one array": b"[\n" + b",\n".join(LINES.splitlines()) + b"\n]\n",
    "over many lines": json.dumps(ROWS[0], indent=2).encode(),
    "encrypted": b"PARE" + bytes(40),
}


@pytest.mark.parametrize("what", REFUSED)
@pytest.mark.parametrize("name", ["a.jsonl", "a.csv", "a.jsonl.gz", "packed"])
def test_what_is_not_read_is_refused_by_its_name_and_nothing_is_stored(
    client: SegOpsClient, tmp_path: Path, what: str, name: str
) -> None:
    if "JSON" in what and name == "a.csv":
        return
    data = REFUSED[what]
    path = tmp_path / ("a.jsonl" if name == "packed" else name)
    path.write_bytes(gzip.compress(data) if name == "packed" else data)
    is_json = "array" in what or "lines" in what
    if name == "a.csv" and is_json:
        return  # its header has no such columns
    with pytest.raises(ConfigurationError, match=what):
        client.import_events(path)
    with pytest.raises(ConfigurationError, match=what):
        client.import_events(io.BytesIO(path.read_bytes()))
    assert client.stats().pending == 0


def test_parquet_is_known_whatever_its_name_and_not_taken_for_a_text(
    client: SegOpsClient, tmp_path: Path
) -> None:
    path = tmp_path / "a.csv"
    pq.write_table(pa.Table.from_pylist(ROWS), path)
    with pytest.raises(ConfigurationError, match="is a Parquet file, not csv"):
        client.import_events(path, file_format="csv")
    assert client.import_events(path).stored == 500
    (tmp_path / "b.parquet").write_bytes(TABLE)
    with pytest.raises(ConfigurationError, match="is no Parquet file"):
        client.import_events(tmp_path / "b.parquet")
    (tmp_path / "c.parquet").write_bytes(gzip.compress(path.read_bytes()))
    with pytest.raises(ConfigurationError, match="needs a file, not within gzip"):
        client.import_events(tmp_path / "c.parquet")


def test_json_under_the_name_of_csv_and_text_without_a_format_are_refused(
    client: SegOpsClient, tmp_path: Path
) -> None:
    (tmp_path / "a.csv").write_bytes(LINES)
    with pytest.raises(ConfigurationError, match="is JSON, not CSV"):
        client.import_events(tmp_path / "a.csv")
    with pytest.raises(ConfigurationError, match="does not look like JSON Lines"):
        client.import_events(io.BytesIO(TABLE))
    with pytest.raises(ConfigurationError, match="a stream of bytes, got one of str"):
        client.import_events(io.StringIO(LINES.decode()))  # type: ignore[arg-type]
    assert client.import_events(io.BytesIO(b"")).stored == 0


def test_a_pipe_is_read_as_a_stream_is(client: SegOpsClient, tmp_path: Path) -> None:
    path = tmp_path / "pipe.csv"
    os.mkfifo(path)
    writer = threading.Thread(target=path.write_bytes, args=(gzip.compress(TABLE),), name="writer")
    writer.start()
    assert client.import_events(path).stored == 500
    writer.join(60)


def test_what_is_no_file_is_refused_for_what_it_is(
    client: SegOpsClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # the name of a socket has to be short
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("a.jsonl")
        with pytest.raises(ConfigurationError, match=r"a\.jsonl is a socket"):
            client.import_events("a.jsonl")
    with pytest.raises(ConfigurationError, match="/dev/zero is a device"):
        client.import_events("/dev/zero")
    (tmp_path / "b.jsonl").symlink_to("nowhere")
    with pytest.raises(FileNotFoundError):
        client.import_events("b.jsonl")


@pytest.mark.parametrize("packer", PACKERS)
def test_a_damaged_archive_behind_a_good_one_is_no_end_of_the_file(
    client: SegOpsClient, tmp_path: Path, packer: str
) -> None:
    path = tmp_path / "a.jsonl"
    one = PACKERS[packer](LINES)
    path.write_bytes(one * 20 + b"\xff" + one[1:])
    with pytest.raises(ImportStoppedError, match=f"as {packer}"):
        client.import_events(path)
    stored = client.stats().pending
    assert numbers(client) == [number % 500 for number in range(stored)]


SHELL = """
import sys
from segops_durable.intake.imports import open_source
from segops_durable.intake.sources.source import BEGINNING
source = open_source(sys.stdin.buffer if sys.argv[1] == "-" else sys.argv[1], sys.argv[2])
print(source.describe(), sum(len(chunk.records) for chunk in source.chunks(BEGINNING)))
"""


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ('gzip -c a.jsonl | "$0" -c "$1" - jsonl', "JSON Lines, gzip 500"),
        ('bzip2 -c a.csv | "$0" -c "$1" - csv', "CSV, commas, bzip2 500"),
        ('"$0" -c "$1" <(cat a.csv) csv', "CSV, commas 500"),
        ('"$0" -c "$1" /dev/stdin jsonl < a.jsonl', "JSON Lines 500"),
        ('cat a.jsonl | "$0" -c "$1" /dev/stdin jsonl', "JSON Lines 500"),
    ],
)
def test_a_shell_may_hand_over_what_it_has(tmp_path: Path, command: str, said: str) -> None:
    (tmp_path / "a.jsonl").write_bytes(LINES)
    (tmp_path / "a.csv").write_bytes(TABLE)
    shell: list[Any] = ["bash", "-c", command, sys.executable, SHELL]
    found = subprocess.run(shell, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (found.stdout.strip(), found.stderr) == (said, "")


def test_a_line_of_json_without_end_is_bounded_while_it_is_read(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    with path.open("wb") as file:
        file.write(LINES)
        file.truncate(1 << 29)
        file.seek(0, 2)
        file.write(b"\n" + LINES)
    source = open_source(path)
    records = [record for chunk in source.chunks(BEGINNING) for record in chunk.records]
    assert len(records) == 1001
    assert max(len(record.raw) for record in records) <= 1024
