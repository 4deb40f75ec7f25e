"""A power cut before an outbox has its first page leaves a file that is an outbox all the same."""

from __future__ import annotations

import sqlite3
import struct
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from segops_durable import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from segops_durable.outbox import Outbox

MAGIC = bytes.fromhex("d9d505f920a163d7")
SECTOR = 512


@pytest.fixture
def first_page(tmp_path: Path) -> bytes:
    """What SQLite writes of a new file first, when it is told to have a log."""
    path = tmp_path / "new.db"
    with closing(sqlite3.connect(path)) as file:
        file.execute("PRAGMA journal_mode=WAL")
    return path.read_bytes()


def journal(pages_before: int, magic: bytes = MAGIC) -> bytes:
    header = magic + struct.pack(">IIIII", 0, 0x1E6B23F3, pages_before, SECTOR, 4096)
    return header.ljust(SECTOR, b"\0")


@pytest.mark.parametrize("sectors", range(1, 8))
def test_a_first_page_that_a_power_cut_has_torn_is_made_anew_in_silence(
    open_outbox: Callable[..., Outbox], queue_path: Path, first_page: bytes, sectors: int
) -> None:
    queue_path.parent.mkdir(exist_ok=True)
    queue_path.write_bytes(first_page[: sectors * SECTOR])
    queue_path.with_name(queue_path.name + "-journal").write_bytes(journal(0))
    outbox = open_outbox()
    outbox.commit.append([b"{}"])
    assert outbox.pop_incidents() == []
    assert outbox.waiting.counts().pending == 1


@pytest.mark.parametrize("beside", [None, journal(1), journal(0, bytes(8)), journal(0)[:12]])
def test_one_without_a_journal_that_has_it_undone_is_refused_and_not_touched(
    open_outbox: Callable[..., Outbox], queue_path: Path, first_page: bytes, beside: bytes | None
) -> None:
    queue_path.parent.mkdir(exist_ok=True)
    queue_path.write_bytes(first_page[:SECTOR])
    if beside is not None:
        queue_path.with_name(queue_path.name + "-journal").write_bytes(beside)
    with pytest.raises(ConfigurationError, match="a file of something else"):
        open_outbox()
    assert queue_path.read_bytes() == first_page[:SECTOR]
