"""Files at URLs, by fsspec: read a block at a time, and known to be what they were.

An object may be replaced at any time. What it was when it was looked at first is kept, and asked
for again before what was read of it is stored.
"""

from __future__ import annotations

import hashlib
import io
from collections import OrderedDict
from contextlib import suppress
from itertools import count
from pathlib import PurePosixPath
from typing import IO, TYPE_CHECKING, Any, NamedTuple

from segops_durable.errors import ChangedFileError, ConfigurationError

if TYPE_CHECKING:
    from segops_durable.intake.sources.remote_storage import Storage

_BLOCK_BYTES = 4 << 20
_KEPT_BLOCKS = 8
_MARKS = ("ETag", "etag", "e_tag", "generation", "md5Hash", "content_md5", "checksum", "VersionId")
_TIMES = (
    "LastModified",
    "last_modified",
    "mtime",
    "updated",
    "modified",
    "date_modified",
    "created",
)

_numbers = count()
_blocks: OrderedDict[tuple[int, int], bytes] = OrderedDict()
"""What was read last, of whatever file: what is read once is looked at some times more.

Without a lock, which a fork could leave shut in the child: each step is one call of the dict.
"""


class Status(NamedTuple):
    """What a file at a URL is, as far as `os.stat_result` would say it.

    Attributes:
        st_size: Its bytes.
        st_mtime_ns: No time, but what changes when the file does: of its ETag or generation, and
            its time.
    """

    st_size: int
    st_mtime_ns: int


class RemoteFile:
    """A file at a URL, with what an import asks of a `pathlib.Path`.

    Args:
        storage: Where it is.
        path: Its path there.

    Attributes:
        name: The last part of its path.
    """

    def __init__(self, storage: Storage, path: str) -> None:
        self._storage = storage
        self._path = path
        self._shown = storage.shown_path(path)
        self._status: Status | None = None
        self._number = next(_numbers)
        self.name: str = PurePosixPath(self._shown.removesuffix("?…")).name

    def __str__(self) -> str:
        return self._shown

    def absolute(self) -> RemoteFile:
        """Itself."""
        return self

    def key(self) -> str:
        """What tells it from other files; what it holds is asked as well."""
        return f"url:{hashlib.sha256(self._shown.encode(errors='surrogatepass')).hexdigest()[:32]}"

    def stat(self) -> Status:
        """What it was when it was looked at first, or since `renew`."""
        if self._status is None:
            self._status = self._look()
        return self._status

    def renew(self) -> None:
        """Look anew; if it is another, nothing of what was read counts."""
        found = self._look()
        if found != self._status:
            self._forget()
            self._status = found

    def check_unchanged(self) -> None:
        """Refuse to go on if it is not what it was.

        Raises:
            ChangedFileError: It was replaced.
        """
        if self._look() != self.stat():
            raise ChangedFileError(
                f"{self} has changed while it was read",
                file=str(self),
                hint="What was stored before stays; run the same command again",
            )

    def open(self, mode: str = "rb") -> IO[bytes]:  # noqa: ARG002 - as a path has it
        """Open it, to read it from any place on."""
        return io.BufferedReader(_Raw(self, self.stat().st_size), 1 << 16)

    def block(self, number: int) -> bytes:
        """One of its blocks."""
        key = (self._number, number)
        data = _blocks.pop(key, None)
        if data is None:
            data = self._fetch(number)
        _blocks[key] = data  # as the newest
        while len(_blocks) > _KEPT_BLOCKS:
            with suppress(KeyError):  # another thread has
                _blocks.popitem(last=False)
        return data

    def _forget(self) -> None:
        for key in tuple(_blocks):
            if key[0] == self._number:
                _blocks.pop(key, None)

    def _fetch(self, number: int) -> bytes:
        size = self.stat().st_size
        start = number * _BLOCK_BYTES
        end = min(size, start + _BLOCK_BYTES)

        def fetch() -> bytes:
            data: bytes = self._storage.fs.cat_file(self._path, start=start, end=end)
            if len(data) == size:  # of a server that knows no ranges
                data = data[start:end]
            if len(data) != end - start:
                raise EOFError(
                    f"{len(data)} bytes came, of {end - start}: it broke off, or changed"
                )
            return bytes(data)

        return self._storage.ask(str(self), fetch)

    def _look(self) -> Status:
        def look() -> dict[str, Any]:
            self._storage.fs.invalidate_cache(self._path)
            found: dict[str, Any] = self._storage.fs.info(self._path)
            return found

        found = self._storage.ask(str(self), look)
        if not isinstance(found.get("size"), int):
            raise ConfigurationError(
                f"{self} does not say its size",
                field="source",
                hint="Pipe it: curl URL | segops-durable import - --format … --job …",
            )
        told = [str(found.get(name)) for name in ("size", *_MARKS, *_TIMES)]
        digest = hashlib.sha256("\n".join(told).encode(errors="surrogatepass")).hexdigest()
        return Status(found["size"], int(digest[:15], 16))


class _Raw(io.RawIOBase):
    """Bytes of a file at a URL."""

    def __init__(self, file: RemoteFile, size: int) -> None:
        self._file = file
        self._size = size
        self._at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence]
        self._at = max(0, base + offset)
        return self._at

    def tell(self) -> int:
        return self._at

    def readinto(self, buffer: Any) -> int:  # noqa: ANN401 - a buffer, which has no type yet
        if self._at >= self._size:
            return 0
        number, offset = divmod(self._at, _BLOCK_BYTES)
        data = self._file.block(number)[offset : offset + len(buffer)]
        buffer[: len(data)] = data
        self._at += len(data)
        return len(data)
