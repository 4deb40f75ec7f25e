"""What the tests of the disk share."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from support.logs import ROWS, event, open_outbox

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a killed process leaves: a file of some rows, and a log with the others."""
    path = tmp_path_factory.mktemp("killed") / "outbox.db"
    outbox = open_outbox(path)
    outbox.commit.append([event(number) for number in range(ROWS // 2)])
    outbox.close()
    outbox = open_outbox(path)
    for number in range(ROWS // 2, ROWS):
        outbox.commit.append([event(number)])
    copy = tmp_path_factory.mktemp("copy") / "outbox.db"
    for end in ("", "-wal", ".lock"):
        shutil.copy(path.with_name(path.name + end), copy.with_name(copy.name + end))
    outbox.close()
    return copy


@pytest.fixture
def spoiled(killed: Path, queue_path: Path) -> Callable[..., Path]:
    """Makes a copy of it, and alters its log or its file."""

    def make(alter: Callable[[bytearray], None], end: str = "-wal") -> Path:
        shutil.rmtree(queue_path.parent, ignore_errors=True)
        queue_path.parent.mkdir()
        for each in ("", "-wal", ".lock"):
            source = killed.with_name(killed.name + each)
            shutil.copy(source, queue_path.with_name(queue_path.name + each))
        path = queue_path.with_name(queue_path.name + end)
        data = bytearray(path.read_bytes())
        alter(data)
        path.write_bytes(data)
        return queue_path

    return make
