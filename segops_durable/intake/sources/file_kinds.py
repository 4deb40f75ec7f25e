"""What a file is by its first bytes, whatever its name says."""

from __future__ import annotations

import re
from typing import NamedTuple

from segops_durable.errors import ConfigurationError

_COMPRESSED = (
    (b"\x1f\x8b", "gzip"),
    (b"BZh", "bzip2"),
    (b"\xfd7zXZ\x00", "xz"),
    (b"]\x00\x00", "xz"),  # its elder form, .lzma
    (b"\x28\xb5\x2f\xfd", "zstd"),
)
_BZIP2_BLOCKS = (b"1AY&SY", b"\x17\x72\x45\x38\x50\x90")
_UNPACK = "Unpack it first"
_TO_LINES = "Export it as JSON Lines, CSV or Parquet"
_REFUSED = (
    (b"\x04\x22\x4d\x18", "compressed with lz4", "Run: lz4 -dc FILE | segops-durable import -"),
    (b"\x02\x21\x4c\x18", "compressed with lz4", "Run: lz4 -dc FILE | segops-durable import -"),
    (b"PK\x03\x04", "a zip archive", _UNPACK),
    (b"PK\x05\x06", "a zip archive", _UNPACK),
    (b"7z\xbc\xaf\x27\x1c", "a 7-Zip archive", _UNPACK),
    (b"Rar!\x1a\x07", "a RAR archive", _UNPACK),
    (b"\x1f\x9d", "compressed with compress (.Z)", _UNPACK),
    (b"\xff\x06\x00\x00sNaPpY", "compressed with snappy", _UNPACK),
    (b"\x89LZO\x00", "compressed with lzop", _UNPACK),
    (b"LZIP", "compressed with lzip", _UNPACK),
    (b"Obj\x01", "an Avro file", _TO_LINES),
    (b"ORC", "an ORC file", _TO_LINES),
    (b"ARROW1", "an Arrow file", _TO_LINES),
    (b"FEA1", "a Feather file", _TO_LINES),
    (b"\xff\xff\xff\xff", "an Arrow stream", _TO_LINES),
    (b"PARE", "a Parquet file with an encrypted footer", "Decrypt it first"),
    (b"SQLite format 3\x00", "an SQLite database", "Export its table as CSV, with a header"),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "an Excel workbook", "Save the sheet as CSV UTF-8"),
    (b"\x89HDF\r\n", "an HDF5 file", _TO_LINES),
    (b"\x93NUMPY", "a NumPy file", _TO_LINES),
    (b"PGDMP", "a dump of PostgreSQL", "COPY the table to CSV, with a header"),
    (b"PGCOPY\n\xff", "a binary COPY of PostgreSQL", "COPY the table to CSV, with a header"),
    (b"%PDF-", "a PDF", _TO_LINES),
    (b"\x89PNG\r\n", "a picture", _TO_LINES),
    (b"\xff\xd8\xff", "a picture", _TO_LINES),
    (b"GIF8", "a picture", _TO_LINES),
    (b"\x7fELF", "a program", _TO_LINES),
    (b"age-encryption.org/", "encrypted with age", "Decrypt it first"),
    (b"-----BEGIN PGP MESSAGE", "encrypted with PGP", "Decrypt it first"),
    (b"version https://git-lfs.github.com/", "a pointer of Git LFS", "Run: git lfs pull"),
)
_PICKLE = re.compile(rb"\x80[\x02-\x05][\x95\x00-\x7f(]", re.DOTALL)
_WORKBOOK = re.compile(rb"\[Content_Types\]\.xml|xl/|_rels/\.rels")
_MARKUP = re.compile(rb"(\xef\xbb\xbf)?\s*<(!doctype|html|\?xml)", re.IGNORECASE)
_SKIPPABLE = re.compile(rb"[\x50-\x5f]\x2a\x4d\x18")  # frames of zstd that hold no data
_WITHIN = (
    (257, b"ustar", "a tar archive", _UNPACK),
    (8, b"DUCK", "a DuckDB database", "COPY the table to Parquet"),
)


class FileKind(NamedTuple):
    """What a file is.

    Attributes:
        name: In words.
        hint: What to do about it.
    """

    name: str
    hint: str


def compression_of(head: bytes) -> str:
    """How it is compressed: gzip, bzip2, xz or zstd; empty if it is not."""
    if _SKIPPABLE.match(head):
        return "zstd"
    found = next((name for magic, name in _COMPRESSED if head.startswith(magic)), "")
    if found == "bzip2" and not any(each.startswith(head[4:10]) for each in _BZIP2_BLOCKS):
        return ""  # a text that begins so
    return found


def is_parquet(head: bytes) -> bool:
    """Whether it is Parquet."""
    return head.startswith(b"PAR1")


def check_is_read(head: bytes, name: str) -> None:
    """Refuse what is no text, and no file of rows that we know.

    Raises:
        ConfigurationError: It is such a file; it says which.
    """
    kind = _kind_of(head)
    if kind is not None:
        raise ConfigurationError(f"{name} is {kind.name}", field="source", hint=kind.hint)


def _kind_of(head: bytes) -> FileKind | None:
    if head.startswith(b"PK\x03\x04") and _WORKBOOK.search(head[:8192]):
        return FileKind("an Excel workbook", "Save the sheet as CSV UTF-8")
    for magic, name, hint in _REFUSED:
        if head.startswith(magic):
            return FileKind(name, hint)
    for place, magic, name, hint in _WITHIN:
        if head[place:].startswith(magic):
            return FileKind(name, hint)
    if _PICKLE.match(head):
        return FileKind("a pickle of Python", _TO_LINES)
    markup = _MARKUP.match(head)
    if markup is not None:
        what = "XML" if markup[2] == b"?xml" else "a page of HTML"
        return FileKind(what, f"{_TO_LINES}; a download may have failed")
    return None
