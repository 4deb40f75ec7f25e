"""Whatever stands where a file was expected: packed, cut, of another kind, of many parts."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import tarfile
import zipfile

import pyarrow as pa

from support.corpus.case import Case, Reject, event, text_of

ROWS = text_of("user_id,event_type,n", "ann,sold,1", "bob,sold,2")
LINES = text_of(
    '{"user_id": "ann", "event_type": "sold", "n": 1}',
    '{"user_id": "bob", "event_type": "sold", "n": 2}',
)
BOTH = (event("ann", '{"n": 1}'), event("bob", '{"n": 2}'))
BOB = BOTH[1:]


def gz(data: bytes) -> bytes:
    return gzip.compress(data, mtime=0)


def zipped(**files: bytes) -> bytes:
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(zipfile.ZipInfo(name.replace("__", "/")), data)
    return sink.getvalue()


def tarred(data: bytes) -> bytes:
    sink = io.BytesIO()
    with tarfile.open(fileobj=sink, mode="w") as archive:
        member = tarfile.TarInfo("sales.csv")
        member.size = len(data)
        archive.addfile(member, io.BytesIO(data))
    return sink.getvalue()


def packed(data: bytes, codec: str) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.CompressedOutputStream(sink, codec) as stream:
        stream.write(data)
    return bytes(sink.getvalue())


def of(name: str, about: str, content: bytes, **more: object) -> Case:
    chosen = {"events": BOTH, "is_binary": True, **more}
    return Case(name=name, about=about, content=content, **chosen)  # type: ignore[arg-type]  # as the caller says


def refused(name: str, about: str, content: bytes, mentions: str, **more: object) -> Case:
    return of(name, about, content, events=(), mentions=mentions, **more)


CASES = (
    of("packed.csv.gz", "gzip, by its name.", gz(ROWS)),
    of("packed_gzip.csv", "gzip under the name of what is in it.", gz(ROWS)),
    of("PACKED.JSONL.GZ", "Windows: a name in capitals.", gz(LINES)),
    of("packed.csv.zst", "zstd.", packed(ROWS, "zstd")),
    of("packed_zstd.jsonl", "zstd under the name of what is in it.", packed(LINES, "zstd")),
    of("packed.csv.bz2", "bzip2.", bz2.compress(ROWS)),
    of("packed_bzip2.jsonl", "bzip2 under the name of what is in it.", bz2.compress(LINES)),
    of("packed.csv.xz", "xz.", lzma.compress(ROWS)),
    of("packed_xz.jsonl", "xz under the name of what is in it.", lzma.compress(LINES)),
    refused("packed.csv.lz4", "lz4.", packed(ROWS, "lz4"), "lz4"),
    of("plain.csv.gz", "A name that says gzip, of a file that is none: curl unpacked it.", ROWS),
    of(
        "packed_members.jsonl.gz",
        "cat a.gz b.gz, and log rotation: two members, and one that is empty.",
        gz(LINES.splitlines(keepends=True)[0]) + gz(b"") + gz(LINES.splitlines(keepends=True)[1]),
    ),
    of(
        "packed_members.csv.bz2",
        "pbzip2 writes many streams.",
        bz2.compress(ROWS[:25]) + bz2.compress(ROWS[25:]),
    ),
    of(
        "packed_frames.csv.zst",
        "pzstd writes many frames.",
        packed(ROWS[:25], "zstd") + packed(ROWS[25:], "zstd"),
    ),
    of("packed_padded.csv.gz", "A tape fills up with zeros.", gz(ROWS) + bytes(512)),
    of(
        "packed_utf16.csv.gz",
        "gzip of what Excel wrote.",
        gz(("\ufeff" + ROWS.decode().replace(",", "\t")).encode("utf-16-le")),
    ),
    of("packed_empty.csv.gz", "gzip of nothing.", gz(b""), events=()),
    of(
        "packed_of_streams.gz",
        "gzip sales.jsonl | import -.",
        gz(LINES),
        is_stdin=True,
        arguments=("--job", "j"),
    ),
    of(
        "packed_cut.csv.gz",
        "A copy that was cut off: its file is named, and status is not 0.",
        gz(ROWS)[:-12],
        events=(),
        status=1,
        mentions="packed_cut.csv.gz",
    ),
    of(
        "packed_damaged.jsonl.gz",
        "A byte of its checksum is wrong.",
        gz(LINES)[:-8] + b"\xff\xff" + gz(LINES)[-6:],
        events=(),
        status=1,
        mentions="packed_damaged.jsonl.gz",
    ),
    of(
        "packed_cut.csv.zst",
        "zstd that was cut off.",
        packed(ROWS, "zstd")[:-5],
        events=(),
        status=1,
        mentions="packed_cut.csv.zst",
    ),
    of(
        "packed_cut.jsonl.xz",
        "xz that was cut off.",
        lzma.compress(LINES)[:-9],
        events=(),
        status=1,
        mentions="packed_cut.jsonl.xz",
    ),
    of("packed_twice.csv.gz", "gzip of gzip.", gz(gz(ROWS))),
    refused("zip.csv", "zip under another name.", zipped(**{"sales.csv": ROWS}), "zip"),
    refused(
        "excel.csv",
        "A workbook that was only renamed.",
        zipped(**{"[Content_Types].xml": b"<Types/>", "xl__workbook.xml": b"<workbook/>"}),
        "Excel",
    ),
    refused("tar.csv.gz", "A tape archive within gzip.", gz(tarred(ROWS)), "tar"),
    refused(
        "html.csv",
        "The page of a portal that wants a login.",
        text_of("<!DOCTYPE html>", "<html><body>Please log in, user_id</body></html>"),
        "HTML",
        is_binary=False,
    ),
    refused("sqlite.csv", "A database.", b"SQLite format 3\0" + bytes(84), "SQLite"),
    refused("avro.jsonl", "Avro.", b"Obj\x01\x04\x16avro.schema" + bytes(40), "Avro"),
    refused("orc.csv", "ORC.", b"ORC" + bytes(60), "ORC"),
    refused("arrow.csv", "Feather.", b"ARROW1\0\0" + bytes(60), "Arrow"),
    refused("excel_old.csv", "A workbook of 2003.", bytes.fromhex("d0cf11e0a1b11ae1") * 8, "Excel"),
    refused("sevenzip.csv", "7-Zip.", b"7z\xbc\xaf\x27\x1c" + bytes(60), "7-Zip"),
    refused(
        "no_name",
        "A name that says nothing, of a file that is no JSON Lines and no CSV.",
        b"\x00\x01\x02\x03" * 9,
        "format",
    ),
    Case(
        name="spark",
        about="Spark: parts, a mark that all is there, and checksums that are none of it.",
        content={
            "_SUCCESS": b"",
            "._SUCCESS.crc": b"crc\0",
            "part-00001-c000.csv": text_of("user_id,event_type,n", "bob,sold,2"),
            "part-00000-c000.csv": text_of("user_id,event_type,n", "ann,sold,1"),
            ".part-00000-c000.csv.crc": b"crc\0",
            "_committed_1": b"{}",
        },
        events=BOTH,
    ),
    Case(
        name="spark_packed",
        about="Parts that are packed, one of which is empty.",
        content={
            "_SUCCESS": b"",
            "part-0.jsonl.gz": gz(LINES.splitlines(keepends=True)[0]),
            "part-1.jsonl.gz": gz(b""),
            "part-2.jsonl.gz": gz(LINES.splitlines(keepends=True)[1]),
        },
        events=BOTH,
        is_binary=True,
    ),
    Case(
        name="spark_rejects",
        about="A bad row in the second part has the line of that part.",
        content={
            "_SUCCESS": b"",
            "part-0.csv": text_of("user_id,event_type,n", "ann,sold,1"),
            "part-1.csv": text_of("user_id,event_type,n", "bob,sold,2", "cid,sold"),
        },
        events=BOTH,
        rejects=(Reject(3, 3, "2 columns"),),
    ),
    Case(
        name="spark_unfinished",
        about="No _SUCCESS: somebody is writing it.",
        content={"part-0.csv": ROWS, "_temporary/0/part-1.csv": ROWS},
        mentions="_SUCCESS",
    ),
    Case(
        name="spark_nothing",
        about="A day without sales: the mark alone.",
        content={"_SUCCESS": b""},
    ),
    Case(
        name="spark_columns_differ",
        about="Parts whose columns are in another order: each is read by its own header.",
        content={
            "_SUCCESS": b"",
            "part-0.csv": text_of("user_id,event_type,n", "ann,sold,1"),
            "part-1.csv": text_of("n,event_type,user_id", "2,sold,bob"),
        },
        events=BOTH,
    ),
    Case(
        name="hive",
        about="Directories that are columns; names with signs, and one that is nothing.",
        content={
            "_SUCCESS": b"",
            "day=2026-01-30/city=S%C3%A3o Paulo/part-0.csv": ROWS[:32],
            "day=2026-01-31/city=a%2Fb/part-0.csv": ROWS[:32].replace(b"ann", b"bob"),
            "day=__HIVE_DEFAULT_PARTITION__/city=12e4/part-0.csv": ROWS[:32],
            "day=2026-01-31/_temporary/part-9.csv": ROWS,
        },
        events=(
            event("ann", '{"n": 1, "day": "2026-01-30", "city": "São Paulo"}'),
            event("bob", '{"n": 1, "day": "2026-01-31", "city": "a/b"}'),
            event("ann", '{"n": 1, "day": null, "city": "12e4"}'),
        ),
    ),
    Case(
        name="hive_mapped",
        about="A column that is a directory may be the user.",
        content={
            "_SUCCESS": b"",
            "user=0012/a.csv": text_of("event_type,n", "sold,1"),
            "user=1e5/a.csv": text_of("event_type,n", "sold,2", "sold"),
        },
        arguments=("--map", "user_id=user"),
        events=(event("0012", '{"n": 1}'), event("1e5", '{"n": 2}')),
        rejects=(Reject(3, 3, "1 column"),),
    ),
    Case(
        name="hive_hides",
        about="A column of the file and one of its directory have one name.",
        content={"_SUCCESS": b"", "n=5/a.csv": ROWS},
        mentions="'n'",
    ),
)
