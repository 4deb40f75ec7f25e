from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from support.systemd import RELAY, Service, Systemd, service

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from segops_durable.sandbox import Sandbox


@pytest.fixture
def systemd(tmp_path: Path) -> Iterator[Systemd]:
    manager = Systemd(str(tmp_path / "notify"))
    yield manager
    manager.close()


@pytest.fixture
def started(
    tmp_path: Path, sandbox: Sandbox, queue_path: Path, systemd: Systemd
) -> Callable[..., Any]:
    """Starts a relay; gives it and its URL once it is ready."""

    @contextmanager
    def start(
        command: tuple[str, ...] = RELAY, more: dict[str, str] | None = None, **options: Any
    ) -> Iterator[tuple[Service, str]]:
        environ = {
            "SEGOPS_API_URL": sandbox.url,
            "SEGOPS_API_KEY": "sk_test",
            "SEGOPS_QUEUE_PATH": str(queue_path),
            "SEGOPS_FLUSH_INTERVAL": "0.05",
            "NOTIFY_SOCKET": systemd.address,
            **(more or {}),
        }
        with service(tmp_path, command, environ, **options) as relay:
            line = relay.line()
            assert "SegOps relay on " in line, relay.log
            systemd.wait_for_line("READY=1")
            yield relay, line.split("SegOps relay on ")[1].split(" ")[0]

    return start
