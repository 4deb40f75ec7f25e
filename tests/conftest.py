from __future__ import annotations

import signal
import sys
import threading
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import pytest

from segops_durable import SegOpsClient, SegOpsError
from segops_durable.client.options import Options
from segops_durable.client.wiring import delivery_of, intake_of, users_of
from segops_durable.outbox import Outbox
from support import examples  # noqa: F401 - pytest may be told of its profile
from support.clock import MovableClock
from support.rig import Rig

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from segops_durable.sandbox import Sandbox


def pytest_configure() -> None:
    """Hear signals that a shell's ``&`` or nohup ignores: the programs of the tests inherit it."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if sys.platform != "win32" and signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
        signal.signal(signal.SIGHUP, signal.SIG_DFL)


@pytest.fixture
def wait_until() -> Callable[[Callable[[], object]], None]:
    """Waits for what another thread or process does to become visible, 60 seconds at most."""

    def wait(happened: Callable[[], object], seconds: float = 60) -> None:
        deadline = time.monotonic() + seconds
        look_again = threading.Event()
        while not happened():
            assert time.monotonic() < deadline, f"it did not happen in {seconds} seconds"
            look_again.wait(0.01)

    return wait


@pytest.fixture(autouse=True)
def _only_this_home(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave the outboxes of whoever runs the tests out of them."""
    monkeypatch.setattr("segops_durable.outbox.places.homes_of_users", list)


@pytest.fixture(autouse=True)
def _time_to_tell(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have a flush wait for what its round tells: a loaded machine may take long for that."""
    monkeypatch.setattr("segops_durable.delivery.flushing._TELLING_SECONDS", 60.0)


@pytest.fixture
def sandbox(segops_sandbox: Sandbox) -> Sandbox:
    return segops_sandbox


@pytest.fixture
def queue_path(tmp_path: Path) -> Path:
    return tmp_path / "queue" / "outbox.db"


@pytest.fixture
def default_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where outboxes lie when a client is made without a `queue_path`."""
    state = tmp_path / "state"
    monkeypatch.setattr("segops_durable.outbox.places.default_directory", lambda: state)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))  # the outboxes of who runs this are theirs
    return state


@pytest.fixture
def make_client(sandbox: Sandbox, queue_path: Path) -> Iterator[Callable[..., SegOpsClient]]:
    """Makes clients of the sandbox that are shut down, without an effort, at the end."""
    with ExitStack() as clients:

        def make(api_key: str = "sk_test", **options: Any) -> SegOpsClient:
            chosen = {
                "queue_path": queue_path,
                "flush_interval": 30.0,
                "on_error": lambda _error: None,
                **options,
            }
            client = SegOpsClient(chosen.pop("api_url", sandbox.url), api_key, **chosen)
            clients.callback(client.shutdown, 0)
            return client

        yield make


@pytest.fixture
def make_rig(queue_path: Path) -> Iterator[Callable[..., Rig]]:
    """Makes rigs; their threads are not started."""
    with ExitStack() as rigs:

        def make(api_url: str, clock: MovableClock | None = None, **options: Any) -> Rig:
            told: list[SegOpsError] = []
            ours = {"api_key": "sk_test", "queue_path": queue_path, "on_error": told.append}
            chosen = Options(api_url=api_url, **{**ours, **options})
            clock = clock or MovableClock()
            outbox = Outbox(
                chosen.outbox_path,
                api_url=chosen.api_url,
                key_fingerprint=chosen.key_fingerprint,
                clock=clock,
                max_age=chosen.max_age,
            )
            users = users_of(chosen, outbox)
            intake = intake_of(chosen, outbox, users, clock)
            delivery = delivery_of(chosen, outbox, users, clock)
            rig = Rig(outbox, delivery, clock, told, intake)
            rigs.callback(rig.close)
            return rig

        yield make
