"""What is loaded with the package, and what with a client: from then on all that it needs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from support.damaged import fill_with_noise
from support.peer import LONG_SECONDS, Peer, Request, answer

if TYPE_CHECKING:
    from pathlib import Path

LOADED = """
import sys
before = set(sys.modules)
from segops_durable import *
import segops_durable
{more}
print(*set(sys.modules) - before)
"""


def loaded(more: str = "", names: str = "") -> set[str]:
    """The modules that are loaded with the package."""
    code = LOADED.replace("*", names, 1) if names else LOADED.replace("from", "#", 1)
    environment = {name: each for name, each in os.environ.items() if "COVERAGE" not in name}
    result = subprocess.run(
        [sys.executable, "-c", code.format(more=more)],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    return set(result.stdout.split())


RARE = {
    "argparse",
    "asyncio",
    "click",
    "email",
    "persistqueue",
    "platformdirs",
    "requests",
    "segops_durable.api",
    "segops_durable.cli",
    "segops_durable.client.wiring",
    "segops_durable.delivery.sender",
    "segops_durable.intake.mapping",
    "segops_durable.intake.sources",
    "segops_durable.outbox.store.store",
    "segops_durable.sandbox",
    "sqlite3",
    "tenacity",
    "urllib3",
}


def test_the_package_alone_loads_nothing_of_itself() -> None:
    """Whatever imports it without using it, as pytest does in every run for the fixtures."""
    found = {each for each in loaded() if each.startswith("segops_durable")}
    rooms = {"_version", "system", "system.on_demand"}
    assert found == {"segops_durable", *(f"segops_durable.{room}" for room in rooms)}


def test_a_client_that_is_not_made_does_not_load_what_sends_and_stores() -> None:
    found = loaded(names="SegOpsClient, Options, StorageError, Event")
    assert "segops_durable.client.client" in found
    assert found & RARE == set()


def test_every_error_is_there_with_the_client() -> None:
    """It is looked up when something has gone wrong: loading might, too."""
    found = loaded(names="SegOpsClient")
    assert {each for each in found if each.startswith("segops_durable.errors.")} == {
        each
        for each in loaded("import segops_durable.errors; segops_durable.ImportStoppedError")
        if each.startswith("segops_durable.errors.")
    }


def test_a_client_loads_nothing_that_reads_files() -> None:
    found = loaded("from segops_durable.client import opening")
    assert "segops_durable.outbox.store.salvage.salvage" in found
    assert found & {"segops_durable.intake.sources", "segops_durable.cli", "pyarrow"} == set()


# Once a client is open nothing has to be loaded to keep an event, and to send it

CHILD = """
import atexit, gc, json, os, resource, signal, sys, threading  # gc: what weakref does at exit
import segops_durable as segops
from segops_durable import Event, SegOpsClient, SegOpsError, StorageError

url, path = sys.argv[1:]
heard, asked, raised = [], [], []


@atexit.register  # the first one: it is run after those of the clients
def say():
    kinds = sorted({type(each).__name__ for each in heard})
    print(json.dumps({"asked": asked, "raised": len(raised), "heard": kinds}))


class Refusing:
    def find_spec(self, name, path=None, target=None):
        asked.append(name)
        raise ImportError(f"{name} cannot be loaded")


def open_client(url, name, **options):
    return SegOpsClient(url, "sk_test", queue_path=os.path.join(path, name), max_retries=0,
                        flush_interval=3600, timeout=20, on_error=heard.append,
                        max_requests_per_minute=60_000, **options)  # what a 429 teaches halves it


def tell(word):
    print(word, flush=True)
    assert sys.stdin.readline() == "done\\n"


def attempt(client, number, seconds=20):
    try:
        client.track(Event("u", "e", payload={"n": number}))
        client.flush(seconds)
    except StorageError as error:
        raised.append(str(error))


def limited(kind, limit, work):
    before = resource.getrlimit(kind)
    resource.setrlimit(kind, (limit, before[1]))
    try:
        work()
    finally:
        resource.setrlimit(kind, before)


client = open_client(url, "outbox.db")
elsewhere = [open_client(each, f"{n}.db") for n, each in enumerate((
    "http://127.0.0.1:9", "https://127.0.0.1:9", "https://nowhere.invalid"))]
sys.meta_path.insert(0, Refusing())

client.track(user_id="u", event_type="e", payload={"n": 0})
client.track_many([Event("v", "e", payload={"n": 1})], checkpoint=("job", 1))
client.identify(user_id="u", traits={"a": 1.5})
assert client.checkpoint("job") == 1
for number in range(10):
    attempt(client, number)
for each in elsewhere:
    attempt(each, 0)
signal.signal(signal.SIGUSR1, lambda *_: client.track(user_id="s", event_type="e"))
signal.raise_signal(signal.SIGUSR1)
child = os.fork()
if not child:
    attempt(client, 100, 0.1)
    os._exit(bool(asked))
assert os.waitpid(child, 0)[1] == 0, "a child had to load something"
[repr(letter) for letter in client.dead_letters()]
client.retry_dead_letters()
client.stats(), client.forget("v"), client.set_api_key("sk_other"), repr(client)
limited(resource.RLIMIT_FSIZE, os.path.getsize(os.path.join(path, "outbox.db-wal")),
        lambda: [attempt(client, n) for n in range(200, 300)])
limited(resource.RLIMIT_NOFILE, 3, lambda: [attempt(each, 300) for each in (client, *elsewhere)])
tell("damage")
for number in range(400, 410):
    attempt(client, number)
    client.stats()
client.shutdown(1)  # the others end with the interpreter
"""
KINDS = [
    answer(500, {"detail": "Oh."}),
    answer(200, "<html>", content_type="text/html"),
    answer(429, {"detail": "Later."}, {"Retry-After": "Wed, 21 Oct 2015 07:28:00 GMT"}),
    answer(302, "", {"Location": "/login"}),
    None,
    answer(400, {"detail": "No."}),
]


@pytest.mark.skipif(sys.platform != "linux", reason="limits are those of Linux")
def test_nothing_is_loaded_any_more_once_a_client_is_open(tmp_path: Path) -> None:
    def react(request: Request) -> bytes | None:
        count = len(segops.requests)
        return segops.accept(request) if count > len(KINDS) or count == 1 else KINDS[count - 1]

    with Peer(react) as segops:
        segops.accept = lambda request: answer(  # type: ignore[method-assign]  # not only numbers
            202, {"queued": len(json.loads(request.body)["events"]), "skipped": 0}
        )
        with subprocess.Popen(
            [sys.executable, "-c", CHILD, segops.url, tmp_path],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        ) as child:
            assert child.stdin is not None
            assert child.stdout is not None
            assert child.stdout.readline() == "damage\n"
            fill_with_noise(tmp_path / "outbox.db")
            (tmp_path / "outbox.db-wal").unlink(missing_ok=True)
            told = json.loads(child.communicate("done\n", timeout=LONG_SECONDS)[0])
    assert child.returncode == 0
    assert told["asked"] == []
    assert told["raised"]
    assert {"DamagedOutboxError", "RefusedError", "UnreachableError"} <= set(told["heard"])


FORKED_MEANWHILE = """
import os, signal, sys, threading
from segops_durable import SegOpsClient

url, path, late = sys.argv[1:]
reached, go_on = threading.Event(), threading.Event()


class Dawdling:
    def find_spec(self, name, path=None, target=None):
        if name == late and threading.current_thread() is opening:
            reached.set()
            go_on.wait()


def open_client(name):
    client = SegOpsClient(url, "sk_test", queue_path=os.path.join(path, name))
    client.track(user_id="u", event_type="e")
    return client.shutdown(60)


sys.meta_path.insert(0, Dawdling())
opening = threading.Thread(target=open_client, args=("parent.db",))
opening.start()
reached.wait()
threading.Timer(0.3, go_on.set).start()  # long after the fork has begun, or has waited
child = os.fork()
if not child:
    signal.alarm(60)  # a child that hangs ends, and tells
    os._exit(not open_client("child.db").ok)
opening.join()
sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
@pytest.mark.parametrize("late", ["requests.adapters", "persistqueue.sqlqueue"])
def test_a_fork_while_another_thread_opens_the_first_client_leaves_a_child_that_can(
    tmp_path: Path, late: str
) -> None:
    with Peer(lambda _request: answer(202, {"queued": 1, "skipped": 0})) as segops:
        status = subprocess.run(
            [sys.executable, "-c", FORKED_MEANWHILE, segops.url, tmp_path, late],
            check=False,
            timeout=2 * LONG_SECONDS,
        ).returncode
        assert status == 0
        assert len(segops.requests) == 2


LOADS_WITHIN_A_GATE = """
import os, sys, threading
import segops_durable.client.opening
from segops_durable import SegOpsClient
from segops_durable.system.on_demand import loading

client = SegOpsClient("http://127.0.0.1:9", "sk_test", queue_path=sys.argv[1], shutdown_timeout=0)
is_within, never = threading.Event(), threading.Event()

def load():
    is_within.set()
    never.wait(0.3)  # until the fork has begun, and waits
    with loading():
        pass

threading.Thread(target=client._outbox._store.gate.run, args=[load]).start()
is_within.wait()
child = os.fork()
if not child:
    os._exit(0)
assert os.waitpid(child, 0)[1] == 0
client.track(user_id="u", event_type="e")
client.shutdown()
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
def test_a_fork_does_not_keep_from_loading_whom_it_waits_for(queue_path: Path) -> None:
    code = ["-W", "ignore", "-c", LOADS_WITHIN_A_GATE]
    subprocess.run([sys.executable, *code, queue_path], check=True, timeout=30)
