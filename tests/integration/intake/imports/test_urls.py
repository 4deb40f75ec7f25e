"""Imports of URLs: a real S3 protocol on loopback, and fsspec's own file systems."""

from __future__ import annotations

import gzip
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import pytest

from segops_durable.errors import ChangedFileError, ConfigurationError, ImportStoppedError
from segops_durable.intake.imports import FieldMap, FileOptions, Source, open_sources
from segops_durable.intake.sources import remote_files

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from segops_durable import SegOpsClient

fsspec = pytest.importorskip("fsspec")
pytestmark = pytest.mark.one_python

SECRET = "s3cr3t-of-the-store"


def lines(count: int, first: int = 0) -> bytes:
    events = ({"user_id": "u", "event_type": "sold", "n": n} for n in range(first, first + count))
    return b"".join(json.dumps(each).encode() + b"\n" for each in events)


def queued(client: SegOpsClient) -> list[Any]:
    rows = client._outbox.waiting._store.read("SELECT data FROM queue_outbox ORDER BY _id")
    return [json.loads(row[0]) for row in rows]


def numbers(client: SegOpsClient) -> list[int]:
    return sorted(each["payload"]["n"] for each in queued(client))


def parquet(count: int, first: int = 0) -> bytes:
    arrow = pytest.importorskip("pyarrow")
    table = arrow.table(
        {
            "user_id": ["u"] * count,
            "event_type": ["sold"] * count,
            "n": list(range(first, first + count)),
        }
    )
    sink = arrow.BufferOutputStream()
    pytest.importorskip("pyarrow.parquet").write_table(table, sink, row_group_size=100)
    return bytes(sink.getvalue().to_pybytes())


@pytest.fixture
def memory() -> Iterator[Any]:
    found = fsspec.filesystem("memory")
    yield found
    found.store.clear()
    found.pseudo_dirs[:] = [""]


class Killed(BaseException):
    """Stands for a kill between two transactions."""


def die(_progress: object) -> None:
    raise Killed


def small(sources: list[Source], rows: int) -> list[Source]:
    for each in sources:
        each.most_rows = rows
    return sources


def import_and_die(client: SegOpsClient, url: str, rows: int = 10) -> None:
    (source,) = small(open_sources(url), rows)
    with pytest.raises(Killed):
        client.import_events(source, on_progress=die)


@pytest.fixture(scope="module")
def store() -> Iterator[dict[str, Any]]:
    moto = pytest.importorskip("moto.server")
    pytest.importorskip("s3fs")
    server = moto.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield {"key": "AKIA7TEST", "secret": SECRET, "endpoint_url": f"http://{host}:{port}"}
    server.stop()


@pytest.fixture
def bucket(store: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    fs = fsspec.filesystem("s3", **store, use_listings_cache=False)
    fs.mkdir("spools")
    yield fs
    fs.rm("spools", recursive=True)


@pytest.fixture
def options(store: dict[str, Any]) -> FileOptions:
    return FileOptions(storage_options=store)


def test_files_of_every_kind_are_imported_from_s3_once_each(
    client: SegOpsClient, bucket: Any, options: FileOptions
) -> None:
    bucket.pipe("spools/a.jsonl", lines(30))
    bucket.pipe("spools/b.csv.gz", gzip.compress(b"user_id,event_type,n\nu,sold,30\nu,sold,31\n"))
    bucket.pipe("spools/c.parquet", parquet(250, 32))
    for _ in range(2):
        for name in ("a.jsonl", "b.csv.gz", "c.parquet"):
            client.import_events(f"s3://spools/{name}", file_options=options)
        assert numbers(client) == list(range(282))


def test_a_spool_on_s3_is_one_import_of_its_parts_with_its_partitions_as_columns(
    client: SegOpsClient, bucket: Any, options: FileOptions
) -> None:
    for day in range(3):
        bucket.pipe(f"spools/out/day=2026-11-0{day + 1}/part-0.parquet", parquet(10, 10 * day))
        bucket.pipe(f"spools/out/day=2026-11-0{day + 1}/.part-0.parquet.crc", b"x")
    with pytest.raises(ConfigurationError, match="without _SUCCESS"):
        client.import_events("s3://spools/out", file_options=options)
    bucket.pipe("spools/out/_SUCCESS", b"")
    bucket.pipe("spools/out/_temporary/0/part-9", b"half")
    with pytest.raises(ConfigurationError, match="still being written"):
        client.import_events("s3://spools/out", file_options=options)
    bucket.rm("spools/out/_temporary", recursive=True)
    assert client.import_events("s3://spools/out/", file_options=options).stored == 30
    assert {each["payload"]["day"] for each in queued(client)} == {
        f"2026-11-0{day}" for day in (1, 2, 3)
    }
    bucket.pipe("spools/out/day=2026-11-04/part-0.parquet", parquet(10, 30))  # it is added later
    result = client.import_events("s3://spools/out", file_options=options)
    assert (result.stored, result.stored_before) == (10, 30)


def test_a_directory_without_success_is_taken_where_somebody_says_so(
    client: SegOpsClient, memory: Any, tmp_path: Path
) -> None:
    memory.pipe("/out/part-0.jsonl", lines(5))
    (tmp_path / "local").mkdir()
    (tmp_path / "local" / "part-0.jsonl").write_bytes(lines(5, 5))
    given = FileOptions(allow_incomplete=True)
    client.import_events("memory://out", file_options=given)
    client.import_events(tmp_path / "local", file_options=given)
    assert numbers(client) == list(range(10))


@pytest.mark.parametrize("kind", ["jsonl", "jsonl.gz", "parquet"])
def test_an_import_that_was_killed_goes_on_at_its_place(
    client: SegOpsClient, memory: Any, kind: str
) -> None:
    data = {"jsonl": lines, "parquet": parquet}.get(kind, lambda n: gzip.compress(lines(n)))(50)
    memory.pipe(f"/in/sales.{kind}", data)
    for _ in range(3):
        import_and_die(client, f"memory://in/sales.{kind}")
    assert len(queued(client)) == 30
    result = client.import_events(f"memory://in/sales.{kind}")
    assert (result.stored, result.stored_before) == (20, 30)
    assert numbers(client) == list(range(50))


def test_a_file_goes_on_where_it_was_from_another_place_that_has_the_same(
    client: SegOpsClient, memory: Any, tmp_path: Path
) -> None:
    memory.pipe("/in/sales.jsonl", lines(500))
    import_and_die(client, "memory://in/sales.jsonl", 200)
    (tmp_path / "sales.jsonl").write_bytes(lines(500))
    client.import_events(tmp_path / "sales.jsonl")
    assert numbers(client) == list(range(500))


def test_an_object_that_was_replaced_by_another_version_is_refused(
    client: SegOpsClient, bucket: Any, options: FileOptions
) -> None:
    bucket.pipe("spools/sales.jsonl", lines(50))
    client.import_events("s3://spools/sales.jsonl", file_options=options)
    bucket.pipe("spools/sales.jsonl", lines(50).replace(b'"n": 7}', b'"n": 8}'))
    with pytest.raises(ChangedFileError, match=r"s3://spools/sales.jsonl has changed"):
        client.import_events("s3://spools/sales.jsonl", file_options=options)
    bucket.pipe("spools/sales.jsonl", lines(50))  # what was imported, under another date
    assert client.import_events("s3://spools/sales.jsonl", file_options=options).stored == 0


def test_an_object_that_is_replaced_while_it_is_read_stores_nothing_of_both(
    client: SegOpsClient, memory: Any
) -> None:
    memory.pipe("/in/sales.jsonl", lines(30))
    (source,) = small(open_sources("memory://in/sales.jsonl"), 10)

    def replace(_progress: object) -> None:
        memory.pipe("/in/sales.jsonl", lines(30, 100))

    with pytest.raises(ChangedFileError, match="has changed while it was read"):
        client.import_events(source, on_progress=replace)
    assert numbers(client) == list(range(10))


def test_a_connection_that_breaks_says_so_and_the_import_goes_on_later(
    client: SegOpsClient, memory: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(remote_files, "_BLOCK_BYTES", 1000)
    memory.pipe("/in/sales.jsonl", lines(6000))
    whole = type(memory).cat_file

    def reset(fs: Any, path: str, start: int | None = None, end: int | None = None) -> bytes:
        if 100_000 < (start or 0) < 150_000:
            raise ConnectionResetError("Connection reset by peer")
        return bytes(whole(fs, path, start=start, end=end))

    monkeypatch.setattr(type(memory), "cat_file", reset)
    (source,) = small(open_sources("memory://in/sales.jsonl"), 500)
    expected = r"memory://in/sales.jsonl cannot be read: Connection reset by peer"
    with pytest.raises(ImportStoppedError, match=expected):
        client.import_events(source)
    before = len(queued(client))
    assert 0 < before < 6000
    monkeypatch.setattr(type(memory), "cat_file", whole)
    assert client.import_events("memory://in/sales.jsonl").stored == 6000 - before
    assert numbers(client) == list(range(6000))


def test_what_comes_short_of_what_was_asked_for_is_no_end_of_the_file(
    client: SegOpsClient, memory: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    memory.pipe("/in/sales.jsonl", lines(50))
    monkeypatch.setattr(type(memory), "cat_file", lambda *_, **__: lines(20))
    with pytest.raises(ImportStoppedError, match="it broke off"):
        client.import_events("memory://in/sales.jsonl")
    assert queued(client) == []


def test_a_pattern_stands_for_its_files_in_order(
    client: SegOpsClient, bucket: Any, options: FileOptions, tmp_path: Path
) -> None:
    for number in (2, 1, 3):
        bucket.pipe(f"spools/in/{number}.jsonl", lines(2, 2 * number))
        (tmp_path / f"{number}.jsonl").write_bytes(lines(2, 10 + 2 * number))
    bucket.pipe("spools/in/_left.jsonl", b"no event\n")
    client.import_events("s3://spools/in/*.jsonl", file_options=options)
    client.import_events(f"file://{tmp_path}/[123].jsonl")
    order = [each["payload"]["n"] for each in queued(client)]
    assert order == [2, 3, 4, 5, 6, 7, 12, 13, 14, 15, 16, 17]
    with pytest.raises(ConfigurationError, match=r"there is no file s3://spools/in/\*.csv"):
        client.import_events("s3://spools/in/*.csv", file_options=options)


def test_a_file_url_is_the_file_and_a_chain_of_file_systems_is_one(
    client: SegOpsClient, tmp_path: Path
) -> None:
    (tmp_path / "sales.jsonl").write_bytes(lines(5))
    client.import_events(f"file://{tmp_path}/sales.jsonl")
    assert client.import_events(tmp_path / "sales.jsonl").stored_before == 5
    (tmp_path / "more.jsonl").write_bytes(lines(5, 5))
    client.import_events(f"simplecache::file://{tmp_path}/more.jsonl")
    assert numbers(client) == list(range(10))


def test_no_secret_of_a_url_or_an_option_is_shown_or_stored(
    client: SegOpsClient, bucket: Any, options: FileOptions, queue_path: Path
) -> None:
    bucket.pipe("spools/sales.jsonl", lines(5))
    client.import_events("s3://spools/sales.jsonl", file_options=options)
    assert SECRET not in repr(options)
    url = f"http://user:{SECRET}@127.0.0.1:9/in/sales.jsonl?X-Amz-Signature={SECRET}"
    pytest.importorskip("aiohttp")
    with pytest.raises(ImportStoppedError) as stopped:
        client.import_events(url)
    assert "http://127.0.0.1:9/in/sales.jsonl?… cannot be read" in str(stopped.value)
    for error in (stopped.value, stopped.value.__cause__, stopped.value.__context__):
        assert SECRET not in repr(error)
        assert SECRET not in str(error)
    client.shutdown()
    for each in queue_path.parent.iterdir():
        assert SECRET.encode() not in each.read_bytes()


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("gs://b/x.jsonl", "gcsfs"),
        ("nonsense://b/x.jsonl", "Protocol not known: nonsense"),
        ("memory://b/x.jsonl", "there is no file memory://b/x.jsonl"),
    ],
)
def test_what_is_missing_is_named(client: SegOpsClient, url: str, words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        client.import_events(url)


def test_without_fsspec_the_extra_is_named(
    client: SegOpsClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    from segops_durable.intake.sources import extras  # noqa: PLC0415

    extras.fsspec_module.cache_clear()
    monkeypatch.setitem(__import__("sys").modules, "fsspec.core", None)
    with pytest.raises(ConfigurationError, match=r"segops-durable\[cloud\]"):
        client.import_events("s3://b/x.jsonl")
    extras.fsspec_module.cache_clear()


class _Web(BaseHTTPRequestHandler):
    def do_HEAD(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(lines(20))))
        self.end_headers()

    def do_GET(self) -> None:  # it knows no ranges
        self.do_HEAD()
        self.wfile.write(lines(20))

    def log_message(self, *_args: object) -> None:
        pass


def test_a_web_server_that_knows_no_ranges_is_read_all_the_same(
    client: SegOpsClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("aiohttp")
    monkeypatch.setattr(remote_files, "_BLOCK_BYTES", 300)
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Web)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        client.import_events(
            f"http://127.0.0.1:{server.server_port}/sales.jsonl", field_map=FieldMap()
        )
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
    assert numbers(client) == list(range(20))
