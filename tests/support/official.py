"""One program, run with the official package and with this one."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import segops

import segops_durable

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from segops_durable.sandbox import Sandbox


@dataclass
class Ran:
    """What came of a program: what it raised, what `on_error` heard, and what arrived."""

    raised: BaseException | None = None
    told: list[tuple[BaseException, int]] = field(default_factory=list)
    arrived: list[dict[str, Any]] = field(default_factory=list)
    users: list[str] = field(default_factory=list)
    returned: Any = None


class Driver:
    """Runs one program with either package."""

    def __init__(self, sandbox: Sandbox, home: Path) -> None:
        self.sandbox = sandbox
        self.home = home
        self._count = 0

    def theirs(self, program: Callable[[Any], Any], **options: Any) -> Ran:
        return self._run(segops, program, options)

    def ours(self, program: Callable[[Any], Any], **options: Any) -> Ran:
        self._count += 1
        path = self.home / f"{self._count}.db"
        return self._run(
            segops_durable,
            program,
            {"queue_path": path, "max_retries": 0, "shutdown_timeout": 20.0, **options},
        )

    def _run(self, package: Any, program: Callable[[Any], Any], options: dict[str, Any]) -> Ran:
        ran = Ran()
        before = len(self.sandbox.events())

        def hear(error: BaseException) -> None:
            ran.told.append((error, threading.get_ident()))

        chosen = {"api_url": self.sandbox.url, "api_key": "sk_test", "on_error": hear, **options}
        try:
            client = package.SegOpsClient(**chosen)
            try:
                ran.returned = program(client)
            finally:
                client.shutdown()
        except Exception as error:  # noqa: BLE001 - whatever it is, a test looks at it
            ran.raised = error
        rows = self.sandbox.events()[before:]
        ran.arrived = [row["event"] for row in rows]
        ran.users = [row["user_id"] for row in rows]
        return ran


def one(**fields: Any) -> Callable[[Any], None]:
    """A program that tracks one event."""
    return lambda client: client.track(**{"user_id": "u", "event_type": "x", **fields})


def after_another(**fields: Any) -> Callable[[Any], None]:
    """A program that tracks a good event, and then one with these fields."""

    def program(client: Any) -> None:
        client.track(user_id="good", event_type="x")
        client.track(**{"user_id": "u", "event_type": "x", **fields})

    return program


def is_lost_in_silence(ran: Ran) -> bool:
    return ran.raised is None and not ran.told and not ran.arrived
