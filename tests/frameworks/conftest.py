from __future__ import annotations

import os
import shutil
import socket
from typing import TYPE_CHECKING

import pytest

from support.programs import PROGRAMS, Programs

if TYPE_CHECKING:
    from pathlib import Path

    from segops_durable.sandbox import Sandbox


@pytest.fixture
def programs(sandbox: Sandbox, tmp_path: Path) -> Programs:
    home = tmp_path / "programs"
    shutil.copytree(PROGRAMS, home)
    environ = {
        **os.environ,
        "SEGOPS_API_URL": sandbox.url,
        "SEGOPS_API_KEY": "sk_test",
        "SEGOPS_QUEUE_PATH": str(tmp_path / "outbox.db"),
        "SEGOPS_FLUSH_INTERVAL": "0.2",
        "PYTHONPATH": str(home),
    }
    return Programs(home, environ)


@pytest.fixture
def port() -> int:
    """A port that nobody listens at, for a server that cannot be handed a socket."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        number: int = one.getsockname()[1]
        return number
