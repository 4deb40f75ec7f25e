"""An event is stored if, and only if, the transaction of an application's own database is."""

from __future__ import annotations

import shutil
import signal
import sqlite3
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from segops_durable import ConfigurationError, InvalidEventError, StorageError
from segops_durable.own_database import outbox_in
from support.events import numbers

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from segops_durable import SegOpsClient
    from segops_durable.sandbox import Sandbox


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(tmp_path / "shop.db")) as connection:
        connection.execute("CREATE TABLE orders (n INTEGER)")
        yield connection


def sell(shop: sqlite3.Connection, *ns: int, fails: bool = False) -> None:
    events = outbox_in(shop)
    with shop:
        for n in ns:
            shop.execute("INSERT INTO orders VALUES (?)", (n,))
            events.track(user_id="u-1", event_type="sold", payload={"n": n})
        if fails:
            raise KeyError


def waiting(shop: sqlite3.Connection) -> int:
    (count,) = shop.execute("SELECT count(*) FROM segops_outbox").fetchone()
    return int(count)


def test_what_is_committed_is_moved_once_and_what_is_rolled_back_never_was(
    shop: sqlite3.Connection, make_client: Callable[..., SegOpsClient], sandbox: Sandbox
) -> None:
    client = make_client()
    sell(shop, 1, 2)
    with pytest.raises(KeyError):
        sell(shop, 3, fails=True)
    assert outbox_in(shop).move_to(client) == 2
    assert outbox_in(shop).move_to(client) == 0
    sell(shop, *range(10, 1100))
    assert outbox_in(shop).move_to(client) == 1090
    assert waiting(shop) == 0
    assert client.flush(30).ok
    assert sorted(numbers(sandbox)) == [1, 2, *range(10, 1100)]


def test_an_event_keeps_what_it_says(
    shop: sqlite3.Connection, make_client: Callable[..., SegOpsClient], sandbox: Sandbox
) -> None:
    payload = {"price": Decimal("3.10"), "long": 2**70, "tiny": 1e-05, "text": "é\u2028"}
    with shop:
        events = outbox_in(shop)
        events.track(user_id=5, event_type="sold", payload=payload, anonymous_id="a")
        events.identify(user_id="u-2", traits={"plan": "starter"})
        with pytest.raises(InvalidEventError, match=r"payload\.n"):
            events.track(user_id="u", event_type="sold", payload={"n": float("inf")})
    client = make_client()
    assert events.move_to(client) == 2
    assert client.flush(30).ok
    sold, identified = (row["event"] for row in sandbox.events())
    assert (sold["user_id"], sold["anonymous_id"]) == ("5", "a")
    assert sold["payload"] == {"price": 3.1, "long": 2**70, "tiny": 1e-05, "text": "é\u2028"}
    assert identified["event_type"] == "context_identified"
    assert identified["payload"] == {"plan": "starter"}


MOVES = """
import os, signal, sqlite3, sys
from segops_durable import SegOpsClient
from segops_durable.own_database import outbox_in

url, shop, queue, dies = sys.argv[1:]
client = SegOpsClient(url, "sk_test", queue_path=queue, flush_interval=300)
if dies == "between":
    track_many = client.track_many
    def and_die(*arguments, **keywords):
        track_many(*arguments, **keywords)
        os.kill(os.getpid(), signal.SIGKILL)
    client.track_many = and_die
print("moving", flush=True)
print(outbox_in(sqlite3.connect(shop)).move_to(client), flush=True)
client.shutdown(0)
"""


def test_a_kill_between_the_two_commits_moves_nothing_twice(
    shop: sqlite3.Connection,
    make_client: Callable[..., SegOpsClient],
    sandbox: Sandbox,
    tmp_path: Path,
    queue_path: Path,
) -> None:
    sell(shop, *range(20))
    command = [sys.executable, "-c", MOVES, sandbox.url, str(tmp_path / "shop.db"), str(queue_path)]
    killed = subprocess.run([*command, "between"], timeout=60, check=False)
    assert killed.returncode == -signal.SIGKILL
    assert waiting(shop) == 20
    sell(shop, 20)
    client = make_client()
    assert outbox_in(shop).move_to(client) == 21
    assert client.flush(30).ok
    assert sorted(numbers(sandbox)) == list(range(21))


@pytest.mark.long
def test_kills_at_random_move_each_event_once(
    shop: sqlite3.Connection,
    make_client: Callable[..., SegOpsClient],
    sandbox: Sandbox,
    tmp_path: Path,
    queue_path: Path,
) -> None:
    sell(shop, *range(8000))
    sandbox.stop()  # a batch whose sender was killed would be sent again, as ever
    command = [
        sys.executable,
        "-c",
        MOVES,
        sandbox.url,
        str(tmp_path / "shop.db"),
        str(queue_path),
        "never",
    ]
    for attempt in range(12):
        with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == b"moving\n"
            with suppress(subprocess.TimeoutExpired):
                process.wait(0.02 * attempt)
            process.kill()
    sandbox.start()
    client = make_client(batch_size=500)
    outbox_in(shop).move_to(client)
    assert client.flush(60).ok
    assert sorted(numbers(sandbox)) == list(range(8000))


def test_those_who_move_at_once_move_each_event_once(
    shop: sqlite3.Connection,
    make_client: Callable[..., SegOpsClient],
    sandbox: Sandbox,
    tmp_path: Path,
) -> None:
    client = make_client(batch_size=500)
    sell(shop, *range(2000))

    def move(_: int) -> int:
        with closing(sqlite3.connect(tmp_path / "shop.db")) as own:
            return outbox_in(own).move_to(client)

    with ThreadPoolExecutor(4) as movers:
        assert sum(movers.map(move, range(4))) == 2000
    assert client.flush(60).ok
    assert sorted(numbers(sandbox)) == list(range(2000))


def test_what_a_backup_has_that_is_put_back_is_moved_once_more_and_nothing_passed_over(
    shop: sqlite3.Connection,
    make_client: Callable[..., SegOpsClient],
    sandbox: Sandbox,
    tmp_path: Path,
) -> None:
    client = make_client()
    path = tmp_path / "shop.db"
    sell(shop, 1)
    shutil.copy(path, tmp_path / "backup")
    sell(shop, 2, 3)
    assert outbox_in(shop).move_to(client) == 3
    shop.close()
    shutil.copy(tmp_path / "backup", path)
    with closing(sqlite3.connect(path)) as again:
        sell(again, 4)
        assert outbox_in(again).move_to(client) == 2
    assert client.flush(30).ok
    assert sorted(numbers(sandbox)) == [1, 1, 2, 3, 4]


def test_what_cannot_be_is_refused_and_nothing_is_moved(
    shop: sqlite3.Connection,
    make_client: Callable[..., SegOpsClient],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("segops_durable.own_database._BUSY_SECONDS", 0.05)
    events = outbox_in(shop)
    sell(shop, 1)
    with pytest.raises(ConfigurationError, match="secret key"):
        events.move_to(make_client("pk_test"))
    with closing(sqlite3.connect(":memory:")) as memory, pytest.raises(ConfigurationError):
        outbox_in(memory)
    nothing: Any = "shop.db"
    for wrong in (lambda: outbox_in(nothing), lambda: events.move_to(nothing)):
        with pytest.raises(ConfigurationError, match=r"must be a .*, got 'shop\.db'"):
            wrong()
    client = make_client()
    shop.execute("INSERT INTO orders VALUES (2)")
    with pytest.raises(StorageError, match="after the commit"):
        events.move_to(client)
    shop.rollback()
    full: Any = make_client(max_queue_events=1)
    sell(shop, 2)
    with pytest.raises(StorageError):
        events.move_to(full)
    assert waiting(shop) == 2


def test_a_priority_is_kept_beside_the_event_and_not_within_it(
    tmp_path: Path, make_client: Callable[..., SegOpsClient], sandbox: Sandbox
) -> None:
    sandbox.stop()
    client = make_client(max_retries=0)
    with closing(sqlite3.connect(tmp_path / "shop.db")) as connection:
        events = outbox_in(connection)
        with connection:
            for number, priority in enumerate(("low", None, "high")):
                events.track(user_id="u", event_type="e", payload={"n": number}, priority=priority)
            events.identify(user_id="u", traits={"n": 3}, priority="high")
            with pytest.raises(InvalidEventError, match="priority"):
                events.track(user_id="u", event_type="e", priority="urgent")
        assert events.move_to(client) == 4
    sandbox.start()
    assert client.flush(timeout=60).ok
    found = [row["event"] for row in sandbox.events()]
    assert [each["payload"]["n"] for each in found] == [2, 3, 1, 0]
    assert all("priority" not in each for each in found)
