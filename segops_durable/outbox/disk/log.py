"""The write-ahead log: which frames are sound, and what SQLite would drop without a word.

A log has a header of 32 bytes, and frames: 24 bytes and a page each. Their checksums are a
chain, and SQLite's recovery ends at the first frame that does not fit it. Since each frame
carries its own link, whatever follows can be verified from the link before it; so every bad
frame is told exactly, and frames that were committed behind it are found.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_HEADER = struct.Struct(">IIIIIIII")
_FRAME = struct.Struct(">IIIIII")
_MAGIC = 0x377F0682
_VERSION = 3007000
_WORD = 0xFFFFFFFF
_PAIR = struct.calcsize("<II")
PAGE_SIZE = 4096
FRAME_SIZE = _FRAME.size + PAGE_SIZE
"""Bytes of a frame, where pages have the usual size."""

Link = tuple[int, int]


@dataclass(frozen=True)
class Frame:
    """A page as a transaction left it.

    Attributes:
        page: Its number.
        size: Pages of the database after the commit that this frame ends; 0 if it ends none.
        start: Where the page's bytes begin in the log.
        is_sound: Whether it is as it was written.
    """

    page: int
    size: int
    start: int
    is_sound: bool


@dataclass(frozen=True)
class Log:
    """A log, as far as it belongs to the present.

    Attributes:
        data: All its bytes.
        page_size: Bytes of a page.
        frames: Up to the last that ends a commit, in order, bad ones included.
        recovered: How many of them SQLite sees.
        left_over: The other pages: of logs that were written here before, or never committed.
        commits_behind: How many commits end at or behind the first bad frame.
        is_whole: Whether everything is as it should be; an end that a power cut tore is not.
    """

    data: bytes
    page_size: int
    frames: tuple[Frame, ...]
    recovered: int
    left_over: tuple[tuple[int, int], ...]
    commits_behind: int
    is_whole: bool

    def page_of(self, frame: Frame) -> bytes:
        """The page that a frame holds."""
        return self.page_at(frame.start)

    def page_at(self, start: int) -> bytes:
        """The page that begins there."""
        return self.data[start : start + self.page_size]


def present_pages(data: bytes) -> set[int]:
    """The pages in a log that says that it is of the present; its frames are not verified."""
    header = _HEADER.unpack(data[: _HEADER.size].ljust(_HEADER.size, b"\0"))
    page_size = header[2] if _is_page_size(header[2]) else PAGE_SIZE
    return {head[0] for head in _heads(data, page_size) if head[2:4] == header[4:6]}


def read_log(data: bytes, sound: int = 0) -> Log:
    """Read a log's bytes, whatever has become of them.

    Args:
        data: The bytes.
        sound: How many of its frames SQLite has found sound, which takes a thousandth of the
            time. Defaults to 0.
    """
    header = _HEADER.unpack(data[: _HEADER.size].ljust(_HEADER.size, b"\0"))
    is_big = header[0] == _MAGIC + 1
    is_sound = (
        header[0] in {_MAGIC, _MAGIC + 1}
        and header[1] == _VERSION
        and _is_page_size(header[2])
        and _linked((0, 0), data[: _HEADER.size - _PAIR], is_big=is_big) == header[6:]
    )
    page_size = header[2] if is_sound else PAGE_SIZE
    heads = list(_heads(data, page_size))
    salts = header[4:6] if is_sound else _most_common([head[2:4] for head in heads[:3]])
    everything = heads
    present = [i for i, head in enumerate(heads) if head[2] == salts[0] or head[3] == salts[1]]
    heads = heads[: present[-1] + 1] if present and any(salts) else []
    first = header[6:] if is_sound else None
    frames = _judged(data, page_size, heads, salts, first, is_big=is_big, known=sound)
    return _summed_up(data, page_size, frames, everything, is_header_sound=is_sound)


def _summed_up(
    data: bytes,
    page_size: int,
    frames: list[Frame],
    heads: list[tuple[int, ...]],
    *,
    is_header_sound: bool,
) -> Log:
    bad = next((i for i, frame in enumerate(frames) if not frame.is_sound), len(frames))
    if not is_header_sound:
        bad = 0
    ends = [i for i, frame in enumerate(frames) if frame.size]
    recovered = max((i + 1 for i in ends if i < bad), default=0)
    rest = (len(data) - _HEADER.size) % (_FRAME.size + page_size)
    has_content = any(data[: _HEADER.size]) or bool(frames)
    count = ends[-1] + 1 if ends else 0
    first_page = _HEADER.size + _FRAME.size
    step = _FRAME.size + page_size
    return Log(
        data,
        page_size,
        tuple(frames[:count]),
        recovered,
        tuple((heads[i][0], first_page + i * step) for i in range(count, len(heads))),
        sum(1 for i in ends if i >= bad),
        is_whole=not has_content or (is_header_sound and bad == len(frames) and not rest),
    )


def _heads(data: bytes, page_size: int) -> Iterator[tuple[int, ...]]:
    step = _FRAME.size + page_size
    for start in range(_HEADER.size, len(data) - step + 1, step):
        yield _FRAME.unpack_from(data, start)


def _judged(
    data: bytes,
    page_size: int,
    heads: list[tuple[int, ...]],
    salts: tuple[int, ...],
    first: tuple[int, ...] | None,
    *,
    is_big: bool,
    known: int,
) -> list[Frame]:
    frames = []
    links = [first, *(head[4:] for head in heads)]
    for number, (before, head) in enumerate(zip(links, heads, strict=False)):
        at = _HEADER.size + number * (_FRAME.size + page_size)
        start = at + _FRAME.size
        is_sound = number < known
        if not is_sound and before is not None and head[2:4] == salts:
            link = _linked((before[0], before[1]), data[at : at + _PAIR], is_big=is_big)
            link = _linked(link, data[start : start + page_size], is_big=is_big)
            is_sound = link == head[4:]
        is_ours = head[2] == salts[0] or head[3] == salts[1]
        page, size = head[:2] if is_ours else (0, 0)
        frames.append(Frame(page, size, start, is_sound))
    return frames


def _linked(link: Link, data: bytes, *, is_big: bool) -> Link:
    """The next link of the chain of checksums."""
    words = struct.unpack(f"{'>' if is_big else '<'}{len(data) // 4}I", data)
    first, second = link
    for even, odd in zip(words[::2], words[1::2], strict=True):
        first = (first + even + second) & _WORD
        second = (second + odd + first) & _WORD
    return first, second


def _most_common(salts: Sequence[tuple[int, ...]]) -> tuple[int, ...]:
    """The salts on which two of the first frames agree, or else the first frame's."""
    agreed = [each for each, following in pairwise(salts) if each == following]
    return (agreed or list(salts) or [(0, 0)])[0]


def _is_page_size(value: int) -> bool:
    return 512 <= value <= 1 << 16 and not value & (value - 1)  # noqa: PLR2004 - SQLite's own limits
