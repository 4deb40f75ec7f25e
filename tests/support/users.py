"""Users of this machine: directories that are theirs, and children that work as them."""

from __future__ import annotations

import os
import shutil
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from segops_durable import SegOpsClient
from support.children import in_child, status_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

NOWHERE = "http://127.0.0.1:9"
OWNER, OTHER = 54_321, 54_322
needs_root = pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root works for other users"
)


@contextmanager
def home_of(user: int, mode: int = 0o700) -> Iterator[Path]:
    """Make a directory that belongs to a user; pytest's own nobody else may look into."""
    above = Path(tempfile.mkdtemp(prefix="segops-home-"))
    above.chmod(0o755)
    try:
        home = above / "home"
        home.mkdir()
        os.chown(home, user, user)
        home.chmod(mode)
        yield home
    finally:
        shutil.rmtree(above)


def as_user(user: int, work: Callable[[], object], status: int = 0) -> None:
    """Work in a child that gives up root for good; it has to end with a status."""

    def give_up_and_work() -> None:
        os.setgroups([])
        os.setgid(user)
        os.setuid(user)
        work()

    assert status_of(in_child(give_up_and_work)) == status


def client_at(path: Path) -> SegOpsClient:
    return SegOpsClient(
        NOWHERE,
        "sk_test",
        queue_path=path,
        shutdown_timeout=0,
        max_retries=0,
        on_error=lambda _error: None,
    )


def track_at(path: Path) -> None:
    with client_at(path) as client:
        client.track(user_id="ann", event_type="page_viewed")


def roots(directory: Path) -> list[Path]:
    """What belongs to root, in a directory or below."""
    return [each for each in directory.rglob("*") if each.lstat().st_uid != OWNER]
