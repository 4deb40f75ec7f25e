"""The bytes of an import: of a file or a stream, uncompressed, from any place on."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import zlib
from contextlib import ExitStack, contextmanager
from typing import IO, TYPE_CHECKING, Any, Protocol, cast

from segops_durable.errors import ConfigurationError, ImportStoppedError
from segops_durable.intake.sources.extras import pyarrow_module
from segops_durable.intake.sources.file_kinds import compression_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from segops_durable.intake.sources.remote_files import RemoteFile

    class _Readable(Protocol):
        def read(self, size: int, /) -> bytes: ...


_HEAD_BYTES = 1 << 16
_STEP_BYTES = 1 << 20
_MOST_LAYERS = 3
_DAMAGES = (EOFError, ValueError, OSError, zlib.error, lzma.LZMAError)


class Input:
    """A file, or a stream that was handed in and stays open.

    Args:
        path: The file; None for a stream.
        stream: Where to read if there is no path.
        name: What it is called in messages.
        is_owned: Whether the stream is to be closed when it was read.

    Attributes:
        path: The file, or None.
        name: What it is called in messages.
        layers: How it is compressed, from the outside to the inside.
        head: The beginning of what is within.

    Raises:
        ConfigurationError: It is compressed too often, or a stream of texts.
        ImportStoppedError: It is compressed, and so damaged that nothing can be read.
        OSError: It cannot be read.
    """

    def __init__(
        self,
        path: Path | RemoteFile | None,
        stream: IO[bytes] | None,
        name: str,
        *,
        is_owned: bool = False,
    ) -> None:
        self.path = path
        self.name = name
        self.layers: tuple[str, ...] = ()
        self._raw: IO[bytes] | None = None
        self._given: IO[bytes] | None = None
        self._owned = stream if is_owned else None
        self.head: bytes
        if path is None:
            self.head, self._given = self._begin(cast("IO[bytes]", stream))
        else:
            with path.open("rb") as file:
                self.head, _ = self._begin(file)

    @property
    def consumed(self) -> int:
        """Bytes of the file that have been read, as it is: for a progress bar."""
        return 0 if self._raw is None or self._raw.closed else self._raw.tell()

    @contextmanager
    def opened(self, offset: int) -> Iterator[IO[bytes]]:
        """Open it, uncompressed, at a place; a stream is where it was left, but for that.

        Raises:
            ImportStoppedError: It ends before that place.
            OSError: It cannot be read.
        """
        with ExitStack() as opened:
            opened.callback(self.close)
            if self.path is None:
                stream = cast("IO[bytes]", self._given)
            else:
                stream = self._raw = opened.enter_context(self.path.open("rb"))
                for layer in self.layers:
                    stream = opened.enter_context(self._unpacked(stream, layer))
            if stream is self._raw:
                stream.seek(offset)
            else:
                self.skip(stream, offset)
            yield stream

    def close(self) -> None:
        """Close what was opened for it, and was not handed in."""
        if self._owned is not None:
            self._owned.close()

    def skip(self, stream: IO[bytes], count: int) -> None:
        """Read on, so many bytes.

        Raises:
            ImportStoppedError: There are not as many.
        """
        while count:
            data = stream.read(min(count, _STEP_BYTES))
            if not data:
                raise ImportStoppedError(
                    f"{self.name} ends before the place that it was read to",
                    file=self.name,
                    hint="It is another file, or was cut",
                )
            count -= len(data)

    def _begin(self, stream: IO[bytes]) -> tuple[bytes, IO[bytes]]:
        """Look at the beginning, through what it is compressed with; return it and the whole."""
        head = _head_of(stream)
        while layer := compression_of(head):
            if len(self.layers) == _MOST_LAYERS:
                raise ConfigurationError(f"{self.name} is compressed too often", field="source")
            self.layers += (layer,)
            stream = self._unpacked(_whole(head, stream), layer)
            head = self._try_head(stream)
        return head, _whole(head, stream)

    def _try_head(self, stream: IO[bytes]) -> bytes:
        """The beginning of what may be damaged behind it: that shows when it is read."""
        data = b""
        try:
            while len(data) < _HEAD_BYTES and (more := stream.read(1024)):
                data += more
        except ImportStoppedError:
            if not data:
                raise
        return data

    def _unpacked(self, stream: IO[bytes], layer: str) -> IO[bytes]:
        plain: Any
        if layer == "gzip":
            plain = gzip.GzipFile(fileobj=stream)
        elif layer == "bzip2":
            plain = _Members(stream, bz2.BZ2Decompressor)
        elif layer == "xz":
            plain = _Members(stream, lzma.LZMADecompressor)
        else:
            plain = pyarrow_module("pyarrow").CompressedInputStream(stream, "zstd")
        return io.BufferedReader(_Guarded(plain, self.name, layer), _HEAD_BYTES)


class _Members:
    """Archives that were joined: unlike in Python's own files, one that is damaged is no end."""

    def __init__(self, stream: IO[bytes], make: Callable[[], Any]) -> None:
        self._stream = stream
        self._make = make
        self._member = make()
        self._rest = b""

    def read(self, size: int, /) -> bytes:
        """Read some bytes; none at the end of the last archive.

        Raises:
            EOFError: It is cut off.
            OSError: It is damaged; of xz an `lzma.LZMAError`.
        """
        while True:
            if self._member.eof and not self._begin():
                return b""
            data = b""
            if self._member.needs_input:
                data, self._rest = self._rest or self._stream.read(_HEAD_BYTES), b""
                if not data:
                    raise EOFError("it ends within an archive")
            found: bytes = self._member.decompress(data, size)
            if self._member.eof:
                self._rest = self._member.unused_data
            if found:
                return found

    def _begin(self) -> bool:
        """Go on with the next archive, behind what may be padding; say whether there is one."""
        while not (data := self._rest.lstrip(b"\0")):
            self._rest = self._stream.read(_HEAD_BYTES)
            if not self._rest:
                return False
        self._rest, self._member = data, self._make()
        return True


class _Guarded(io.RawIOBase):
    """What is unpacked, whose damages are told of with the file's name."""

    def __init__(self, stream: _Readable, name: str, layer: str) -> None:
        self._stream = stream
        self._name = name
        self._layer = layer

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:  # noqa: ANN401 - a buffer, which has no type yet
        try:
            data = self._stream.read(len(buffer))
        except _DAMAGES as error:
            raise ImportStoppedError(
                f"{self._name} is cut off or damaged, as {self._layer}: {error}",
                file=self._name,
                hint="What could be read of it before is stored; get the file again",
            ) from error
        buffer[: len(data)] = data
        return len(data)


class _Joined(io.RawIOBase):
    """What was read of a stream already, and then the rest."""

    def __init__(self, head: bytes, rest: IO[bytes]) -> None:
        self._head = io.BytesIO(head)
        self._rest = rest

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:  # noqa: ANN401 - as above
        data = self._head.read(len(buffer)) or _some_of(self._rest, len(buffer))
        buffer[: len(data)] = data
        return len(data)


def _whole(head: bytes, stream: IO[bytes]) -> IO[bytes]:
    return io.BufferedReader(_Joined(head, stream), _HEAD_BYTES)


def _some_of(stream: IO[bytes], size: int) -> bytes:
    read = getattr(stream, "read1", stream.read)  # what a pipe has, instead of waiting for more
    data = read(size)
    if not isinstance(data, bytes):
        problem = f"source must be a stream of bytes, got one of {type(data).__name__}"
        raise ConfigurationError(problem, field="source")
    return data


def _head_of(stream: IO[bytes]) -> bytes:
    data = b""
    while len(data) < _HEAD_BYTES and (more := _some_of(stream, _HEAD_BYTES - len(data))):
        data += more
    return data
