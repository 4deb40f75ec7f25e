"""The letters of a text: how its bytes say them, and where its lines end.

Places are bytes of the file, whatever its encoding, so that an import goes on at a byte. Each
line is decoded by itself; in UTF-16 and UTF-32 their ends are looked for at whole units.
"""

from __future__ import annotations

import codecs
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Protocol

from segops_durable.errors import ConfigurationError

if TYPE_CHECKING:
    from typing import Any

MARK = "\ufeff"
_MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32-le"),  # before UTF-16, whose mark it begins with
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_NEXT_LINE = "\x85"
_READ_BYTES = 1 << 16


class Readable(Protocol):
    """What lines are read from."""

    def readline(self, size: int, /) -> bytes:
        """Read a line, or so many bytes of it."""


@dataclass(frozen=True)
class Encoding:
    """How a text is written.

    Attributes:
        codec: Python's name of it.
        newline: What ends its lines, as bytes.
    """

    codec: str
    newline: bytes = b"\n"

    @property
    def is_utf8(self) -> bool:
        """Whether it is what JSON is read from."""
        return self.codec == "utf-8"

    @property
    def label(self) -> str:
        """Its name, for people."""
        return self.codec.upper().replace("-LE", " LE").replace("-BE", " BE")

    @property
    def width(self) -> int:
        """Bytes of a unit."""
        return len(self.newline)

    def describe(self) -> str:
        """In words, where there is something to say."""
        ends = {"\r": ", lines that end with CR", _NEXT_LINE: ", lines that end with NEL"}
        name = "" if self.is_utf8 else f", {self.label}"
        return name + ends.get(self.newline.decode(self.codec), "")

    def decode(self, data: bytes) -> str:
        """The text of a line.

        Raises:
            ValueError: It is none; the message says where.
        """
        try:
            text = data.decode(self.codec)
        except UnicodeDecodeError as error:
            found = error.object[error.start : error.start + self.width].hex()
            problem = (
                f"byte {error.start + 1} of the line, 0x{found}, is no {self.label} (--encoding)"
            )
            raise ValueError(problem) from None
        if text.endswith(_NEXT_LINE) and self.newline.decode(self.codec) == _NEXT_LINE:
            return f"{text[:-1]}\n"
        return text

    def decode_anyhow(self, data: bytes) -> str:
        """The text of what is perhaps none, to look for its quotes."""
        return data.decode(self.codec, "replace")

    def lines(self, stream: IO[bytes]) -> Readable:
        """What gives the lines of a stream."""
        return stream if self.newline == b"\n" else _Units(stream, self.newline)


def encoding_of(head: bytes, given: str | None) -> Encoding:
    """Find the encoding of a text by its beginning.

    Args:
        head: Its beginning.
        given: What somebody says; None to look: a byte order mark, the zeros of UTF-16 and
            UTF-32, or else UTF-8.

    Raises:
        ConfigurationError: There is no such encoding, or the mark says another.
    """
    marked = next((codec for mark, codec in _MARKS if head.startswith(mark)), None)
    guessed = marked or _by_zeros(head)
    codec = guessed or "utf-8"
    if given is not None:
        codec = _checked(given)
        if codec in {"utf-16", "utf-32"}:
            by_mark = guessed if guessed and guessed.startswith(codec) else None
            codec = by_mark or f"{codec}-le"
        if marked is not None and codec != marked:
            problem = f"encoding is given as {given}, but a byte order mark says {marked}"
            raise ConfigurationError(problem, field="encoding", hint="Leave --encoding out")
    return Encoding(codec, _newline_of(head, codec))


def _by_zeros(head: bytes) -> str | None:
    """UTF-16 or UTF-32 without a mark: its first letters are ASCII, and the rest is zeros."""
    zeros = [not byte for byte in head[:8]]
    patterns = (
        ("utf-32-le", [False, True, True, True] * 2),
        ("utf-32-be", [True, True, True, False] * 2),
        ("utf-16-le", [False, True] * 4),
        ("utf-16-be", [True, False] * 4),
    )
    return next((codec for codec, pattern in patterns if zeros == pattern), None)


def _newline_of(head: bytes, codec: str) -> bytes:
    text = head.decode(codec, "replace")
    if "\n" not in text:
        if "\r" in text[:-1]:  # if it is the last, the rest of CR LF may be behind it
            return "\r".encode(codec)
        if _NEXT_LINE in text and "a".encode(codec) != b"a":  # of EBCDIC
            return _NEXT_LINE.encode(codec)
    return "\n".encode(codec)


def _checked(given: Any) -> str:  # noqa: ANN401 - what a caller gives
    """Python's name of an encoding that a text can be read in line by line."""
    try:
        codec = codecs.lookup(given).name
        units = {len(each.encode(codec)) for each in '\n\r",a'}
        is_fit = "\n\r".encode(codec) == "\n".encode(codec) + "\r".encode(codec)
    except (LookupError, TypeError, ValueError):
        raise ConfigurationError(
            f"encoding must be one that Python knows, got {given!r}",
            field="encoding",
            hint="For example utf-8, utf-16, latin-1 or cp1252",
        ) from None
    if codec in {"utf-8-sig", "utf-16", "utf-32"}:
        return codec.removesuffix("-sig")
    if len(units) > 1 or not is_fit:
        raise ConfigurationError(
            f"encoding {given} cannot be read line by line",
            field="encoding",
            hint=f"Run: iconv -f {given} -t utf-8 FILE",
        )
    return codec


class _Units:
    """Lines that end with other bytes than a line feed's."""

    def __init__(self, stream: IO[bytes], newline: bytes) -> None:
        self._stream = stream
        self._newline = newline
        self._data = b""
        self._start = 0

    def readline(self, size: int) -> bytes:
        """Read a line, or so many bytes of it, in whole units."""
        size -= size % len(self._newline)
        place = self._start
        while True:
            found = self._find(place)
            end = found if found is not None else len(self._data)
            if found is not None or end - self._start >= size:
                return self._take(min(end, self._start + size))
            place = max(self._start, end - len(self._newline) + 1)
            kept = self._start
            more = self._stream.read(_READ_BYTES)
            if not more:
                return self._take(end)
            self._data, self._start = self._data[kept:] + more, 0
            place -= kept

    def _find(self, place: int) -> int | None:
        """The end of the line, at a whole unit."""
        width = len(self._newline)
        while (found := self._data.find(self._newline, place)) >= 0:
            if (found - self._start) % width == 0:
                return found + width
            place = found + 1
        return None

    def _take(self, end: int) -> bytes:
        start, self._start = self._start, end
        return self._data[start:end]
