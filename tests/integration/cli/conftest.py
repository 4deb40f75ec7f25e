"""What the tests of the command line share."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from support.commands import Commands

if TYPE_CHECKING:
    from pathlib import Path

    from segops_durable.sandbox import Sandbox


@pytest.fixture
def commands(tmp_path: Path, sandbox: Sandbox) -> Commands:
    return Commands(tmp_path, sandbox.url)
