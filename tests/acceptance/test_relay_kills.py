"""The official client, unchanged, against a relay that is killed, of a SegOps that fails."""

from __future__ import annotations

import random
import threading
import time
from collections import Counter, defaultdict
from contextlib import suppress
from email.utils import formatdate
from typing import TYPE_CHECKING, Any

import pytest
import segops

from segops_durable.sandbox import HMAC_SECRET
from support.relays import RelayProcess, sign_command

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from typing_extensions import Self

    from segops_durable.sandbox import Sandbox

pytestmark = [pytest.mark.long, pytest.mark.one_python]

KILLS = 12
FAULTS: tuple[dict[str, Any], ...] = (
    {"status": 500},
    {"status": 503, "retry_after": 0.1},
    {"status": 401},
    {"portal": True},
    {"redirect": "http://127.0.0.1:9/"},
    {"reset": "before"},
    {"reset": "after"},
    {"delay": 0.05},
    {"body_limit": 400},
    {},
)
# each once, for whom a server refuses by chance has no share of a limit to learn
PATIENCE: tuple[Callable[[], float | str | None], ...] = (
    lambda: None,
    lambda: 0.1,
    lambda: formatdate(time.time() + 1, usegmt=True),
)


class Official:
    """One official client: what it posted, and what was answered with 202."""

    def __init__(self, url: str, key: str, name: str, **options: Any) -> None:
        self.name = name
        self.acknowledged: list[tuple[str, int]] = []
        self.over = threading.Event()
        self.user = name
        self._number = 0
        self._client = segops.SegOpsClient(url, key, batch=False, on_error=self._fail, **options)
        self.thread = threading.Thread(target=self._run, daemon=True)

    def _fail(self, _error: BaseException) -> None:
        self._has_failed = True

    def track(self) -> bool:
        """Track one event; say whether it was answered with 202."""
        self._number += 1
        user, self._has_failed = self.user, False
        payload = {"client": self.name, "n": self._number}
        self._client.track(user_id=user, event_type="page_viewed", payload=payload)
        if not self._has_failed:
            self.acknowledged.append((user, self._number))
        return not self._has_failed

    def _run(self) -> None:
        while not self.over.is_set():
            if not self.track():
                self.over.wait(0.02)

    def end(self) -> None:
        self.over.set()
        if self.thread.ident is not None:
            self.thread.join(60)
        with suppress(Exception):
            self._client.shutdown()


class Weather:
    """Has SegOps fail in every way that the sandbox has, and go away, until it is over."""

    def __init__(self, sandbox: Sandbox, chance: random.Random) -> None:
        self._sandbox = sandbox
        self._chance = chance
        self._over = threading.Event()
        self._changing = threading.Lock()
        self._thread = threading.Thread(target=self._change)

    def _change(self) -> None:
        while not self._over.wait(0.1):
            with self._changing:
                if self._chance.random() < 0.2:
                    self._sandbox.stop()
                    self._over.wait(0.3)
                    self._come_back()
                self._sandbox.faults(**self._chance.choice(FAULTS), rate=0.7)

    def _come_back(self) -> None:
        for _ in range(600):
            with suppress(OSError):  # somebody's connection has the port for a moment
                self._sandbox.start()
                return
            threading.Event().wait(0.1)
        raise AssertionError("its port is taken")

    def refuse_one(self, patience: float | str | None) -> None:
        """Answer the next request with 429, whatever the weather; returns once that is done."""
        with self._changing:
            before = self._refused
            self._sandbox.faults(status=429, retry_after=patience, times=1)
            for _ in range(6000):
                if self._refused > before:
                    return
                threading.Event().wait(0.01)
            raise AssertionError("no request was made")

    @property
    def _refused(self) -> int:
        return sum(row["answer"] == "429" for row in self._sandbox.requests())

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join(60)
        self._sandbox.faults()


def kill_now_and_then(
    relay: RelayProcess,
    clients: list[Official],
    chance: random.Random,
    kills: int,
    weather: Weather,
) -> None:
    """Kill the relay, and have it started anew; some lives begin with a 429, and are soon over."""
    refusals = dict(zip(range(2, kills, kills // len(PATIENCE)), PATIENCE, strict=True))
    for each in clients:
        each.thread.start()
    for life in range(kills):
        if life in refusals:
            weather.refuse_one(refusals[life]())
        before = sum(len(each.acknowledged) for each in clients)
        wanted = before + chance.randrange(5, 80)
        for _ in range(3000):
            if sum(len(each.acknowledged) for each in clients) >= wanted:
                break
            threading.Event().wait(0.01)
        relay.kill()
        if life in refusals:  # or each life after it would hardly send
            relay.forget_rate()
        relay.start()
    for each in clients:
        each.end()


def judge(sandbox: Sandbox, clients: list[Official], wait_until: Any) -> None:
    """Each event that was answered has to arrive, under its user; again under one key only."""
    wanted = {(each.name, user, n) for each in clients for user, n in each.acknowledged}

    def arrived() -> list[tuple[str, str, int]]:
        rows = sandbox.events()
        return [(_of(row)["client"], row["user_id"], _of(row)["n"]) for row in rows]

    wait_until(lambda: wanted <= set(arrived()), 120)
    keys: dict[tuple[str, int], set[str]] = defaultdict(set)
    users: dict[tuple[str, int], set[str]] = defaultdict(set)
    for row in sandbox.events():
        name = (_of(row)["client"], _of(row)["n"])
        keys[name].add(row["idempotency_key"])
        users[name].add(row["user_id"])
    assert {len(each) for each in keys.values()} == {1}
    assert {len(each) for each in users.values()} == {1}
    assert sandbox.summary()["conflicting_keys"] == 0
    assert len(wanted) > KILLS


def _of(row: dict[str, Any]) -> dict[str, Any]:
    payload: dict[str, Any] = row["event"]["payload"]
    return payload


@pytest.fixture
def signer(tmp_path: Path) -> str:
    return sign_command(tmp_path)


@pytest.fixture
def start_relay(sandbox: Sandbox, tmp_path: Path) -> Iterator[Callable[..., RelayProcess]]:
    relays: list[RelayProcess] = []

    def start(*flags: str, **more: Any) -> RelayProcess:
        home = tmp_path / "relay"
        home.mkdir()
        environ = {"SEGOPS_MAX_RETRIES": "0", "SEGOPS_MAX_RETRY_AFTER": "0.2"}
        relays.append(RelayProcess(sandbox.url, home, flags, environ=environ, **more))
        return relays[0].start()

    yield start
    for each in relays:
        if each.is_running:
            each.kill()


def test_the_official_client_with_a_secret_key_loses_nothing_that_was_answered(
    sandbox: Sandbox, start_relay: Callable[..., RelayProcess], wait_until: Any
) -> None:
    chance = random.Random(2026)
    relay = start_relay()
    clients = [Official(relay.url, "sk_test", f"client-{number}") for number in range(3)]
    with Weather(sandbox, chance) as weather:
        kill_now_and_then(relay, clients, chance, KILLS, weather)
    relay.kill()  # so that no pause of its sender is waited for
    relay.start()
    judge(sandbox, clients, wait_until)


def test_the_official_client_with_a_public_key_has_each_event_sent_as_whom_it_was_tracked_for(
    sandbox: Sandbox, start_relay: Callable[..., RelayProcess], wait_until: Any, signer: str
) -> None:
    chance = random.Random(2026)
    sandbox.configure(require_signed=True, token_seconds=61.0)
    relay = start_relay("--sign-command", signer, api_key="pk_test")
    visitor = Official(
        relay.url, "pk_test", "visitor", get_user=lambda: segops.UserContext(anonymous_id="visitor")
    )
    clients = [visitor]
    for name in ("ann", "bob"):

        def signed(name: str = name) -> segops.UserContext:
            fields: dict[str, Any] = {**segops.sign_user_id(HMAC_SECRET, name)}
            return segops.UserContext(**fields)

        clients.append(Official(relay.url, "pk_test", name, get_user=signed))
    with Weather(sandbox, chance) as weather:
        kill_now_and_then(relay, clients, chance, KILLS, weather)
    relay.kill()
    relay.start()
    judge(sandbox, clients, wait_until)
    opened = Counter(row["path"] for row in sandbox.requests())
    assert opened["/api/auth/session/"] > len(clients)  # tokens of a second were minted anew
