"""What the tests of the outbox share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from segops_durable.outbox import Outbox
from support.commands import Commands
from support.outboxes import URL

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from segops_durable.sandbox import Sandbox


@pytest.fixture
def open_outbox(queue_path: Path) -> Iterator[Callable[..., Outbox]]:
    opened = []

    def make(path: Path = queue_path, **options: Any) -> Outbox:
        outbox = Outbox(path, **{"api_url": URL, "key_fingerprint": "k", **options})
        opened.append(outbox)
        return outbox

    yield make
    for outbox in opened:
        outbox.sender_lock.release()
        outbox.close()


@pytest.fixture
def commands(tmp_path: Path, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> Commands:
    """A machine whose clients and commands have no `queue_path`, and no other user's files."""
    commands = Commands(tmp_path, sandbox.url)
    commands.env["SEGOPS_QUEUE_PATH"] = ""
    (tmp_path / "state").mkdir()
    for name in ("HOME", "XDG_STATE_HOME"):
        commands.env[name] = str(tmp_path / "state")
        monkeypatch.setenv(name, commands.env[name])
    return commands


@pytest.fixture
def state(tmp_path: Path) -> Path:
    return tmp_path / "state" / "segops-durable"
