"""The command line, on a machine of its own."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

from click.testing import CliRunner, Result

from segops_durable import SegOpsClient
from segops_durable.cli.commands import run
from support.events import numbered

if TYPE_CHECKING:
    from pathlib import Path

    from segops_durable.sandbox import Sandbox

NOWHERE = "http://127.0.0.1:9"


class Commands:
    """Runs commands on a machine of their own, and looks at what they say."""

    def __init__(self, home: Path, url: str) -> None:
        self.home = home
        self.queue_path = home / "outbox.db"
        self.env = {
            **{name: "" for name in os.environ if name.startswith("SEGOPS_")},
            "SEGOPS_CONFIG": "",
            "SEGOPS_API_URL": url,
            "SEGOPS_API_KEY": "sk_test",
            "SEGOPS_QUEUE_PATH": str(self.queue_path),
            "XDG_CONFIG_HOME": str(home / "config"),
            "XDG_STATE_HOME": str(home / "state"),
            "HOME": str(home),
            "COLUMNS": "200",
        }

    def __call__(self, *words: str, status: int = 0, text: str | None = None) -> Result:
        result = CliRunner().invoke(run, list(words), env=self.env, input=text)
        assert result.exit_code == status, (result.output, result.exception)
        return result

    def json(self, *words: str, status: int = 0) -> Any:
        """What a command prints with --json."""
        return json.loads(self(*words, "--json", status=status).stdout)

    def waiting(self) -> int:
        found: int = self.json("status")["waiting"]
        return found


def closing_client(commands: Commands) -> SegOpsClient:
    return SegOpsClient(
        commands.env["SEGOPS_API_URL"],
        "sk_test",
        queue_path=commands.queue_path,
        shutdown_timeout=0,
        on_error=lambda _error: None,
    )


def fill(device: Commands, sandbox: Sandbox, count: int, first: int = 0) -> None:
    """Track events on a device that is offline, and never comes online."""
    sandbox.stop()
    with closing_client(device) as client:
        client.track_many(numbered(count, first=first))
    sandbox.start()
