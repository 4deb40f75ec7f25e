"""Salvages in processes of their own, which end at an instant that a test has chosen."""

from __future__ import annotations

# One process does all of it, and forks for each instant at which the salvage shall end.
DRIVER = """
import json, os, shutil, signal, sys
from pathlib import Path
from segops_durable import SegOpsError
from segops_durable.outbox import Outbox, Settlement, Take
from segops_durable.outbox.records import origin

origin._KEEP_INODES.clear()  # each outbox here is made of copies
directory, what, how, step = Path(sys.argv[1]), sys.argv[2], sys.argv[3], int(sys.argv[4])
rows = {b'{"n":%d,"x":"%s"}' % (n, b"y" * (n % 90)) for n in range(120)}
path = directory / "queue" / "outbox.db"

def opened():
    return Outbox(path, api_url="https://api.segops.ai", key_fingerprint="k")

def in_child(action):
    reading, writing = os.pipe()
    pid = os.fork()
    if not pid:
        try:
            os.write(writing, json.dumps(action()).encode())
        except BaseException as error:
            os.write(writing, json.dumps(["error", type(error).__name__, str(error)]).encode())
        os._exit(0)
    os.close(writing)
    status = os.waitpid(pid, 0)[1]
    with os.fdopen(reading) as told:
        return os.waitstatus_to_exitcode(status), json.loads(told.read() or "null")

def prepare():
    outbox = opened()
    outbox.commit.append(sorted(rows))
    batch = outbox.batches.take(Take(20)).batch
    outbox.batches.settle(Settlement(batch, 20), Take(20))
    if what == "log":
        os._exit(0)  # and its log stays
    outbox.close()

def spoil():
    name = "outbox.db-wal" if what == "log" else "outbox.db"
    data = bytearray((path.parent / name).read_bytes())
    if what == "header":
        data[18] ^= 1
    elif what == "log":
        at = len(data) // 3
        data[at] ^= 1
    elif what == "page":
        at = data.index(b'"n":99,') // 4096 * 4096
        data[at : at + 4096] = b'\\xa5' * 4096
        data[5] ^= 4
    (path.parent / name).write_bytes(data)

def first_start(number, sort):
    def action():
        os.environ[sort] = str(number)
        outbox = opened()
        outbox.commit.append([b'{"n":"first"}'])
        for name in (sort,):
            del os.environ[name]
        return "done"
    return action

def second_start():
    outbox = opened()
    outbox.commit.append([b'{"n":"second"}'])
    sent = []
    batch = outbox.batches.take(Take(500)).batch
    while batch is not None:
        sent += [row.data.decode() for row in batch.rows]
        batch = outbox.batches.settle(Settlement(batch, len(batch.rows)), Take(500)).batch
    told = [[type(each).__name__, getattr(each, "saved", None), getattr(each, "lost", None)]
            for each in outbox.pop_incidents()]
    outbox.incidents_are_told()
    counts = outbox.waiting.counts()
    dead = [letter.data.decode(errors="replace") for letter in outbox.dead_letters]
    outbox.close()
    outbox = opened()
    again = [type(each).__name__ for each in outbox.pop_incidents()]
    files = sorted(each.name for each in path.parent.iterdir())
    return {"sent": sent, "told": told, "dead": dead, "lost": counts.lost_total, "again": again,
            "pending": counts.pending, "files": files}

in_child(prepare)
spoil()
kept = directory / "kept"
shutil.copytree(path.parent, kept)
number = 1 - step
is_done = False
while not is_done:
    number += step
    shutil.rmtree(path.parent)
    shutil.copytree(kept, path.parent)
    code, first = in_child(first_start(number, how))
    is_done = first == "done"
    _, second = in_child(second_start)
    found = {"number": number, "code": code, "first": first, "second": second}
    print(json.dumps(found), flush=True)
"""
# A process has the outbox open; another one finds the damage, and is killed while it mends it.
BESIDE = """
import json, os, shutil, sqlite3, sys
from pathlib import Path
from segops_durable.outbox import Outbox, Settlement, Take

path, step = Path(sys.argv[1]) / "queue" / "outbox.db", int(sys.argv[2])

def opened():
    return Outbox(path, api_url="https://api.segops.ai", key_fingerprint="k")

def write_on(ready, go):
    outbox = opened()
    outbox.commit.append([b'{"n":%d,"x":"%s"}' % (n, b"y" * 90) for n in range(120)])
    os.write(ready, b"x")
    os.read(go, 1)
    outbox.commit.append([b'{"n":%d}' % n for n in range(1000, 1010)])
    os._exit(0)  # without closing it

def spoil():
    data = path.read_bytes()
    with path.open("r+b") as file:
        file.seek(data.index(b'"n":99,') // 4096 * 4096)
        file.write(b"\\xa5" * 4096)
        file.seek(5)
        file.write(bytes([data[5] ^ 4]))

def mend(number):
    os.environ["DISKFAULT_KILL"] = str(number)
    opened().append([b'{"n":"mended"}'])

def in_child(action, *arguments):
    pid = os.fork()
    if not pid:
        try:
            action(*arguments)
        finally:
            os._exit(1)
    return pid

def look():
    outbox, sent = opened(), []
    batch = outbox.batches.take(Take(500)).batch
    while batch is not None:
        sent += [json.loads(row.data)["n"] for row in batch.rows]
        batch = outbox.batches.settle(Settlement(batch, len(batch.rows)), Take(500)).batch
    print(json.dumps({"number": number, "sent": sent}), flush=True)
    os._exit(0)

number, status = 1, 9
while status == 9:
    shutil.rmtree(path.parent, ignore_errors=True)
    ready, written = os.pipe()
    waited, go = os.pipe()
    beside = in_child(write_on, written, waited)
    os.read(ready, 1)
    with sqlite3.connect(path) as file:
        file.execute("PRAGMA wal_checkpoint(PASSIVE)")
    file.close()
    spoil()
    status = os.waitpid(in_child(mend, number), 0)[1]
    os.write(go, b"x")
    assert os.waitpid(beside, 0)[1] == 0
    assert os.waitpid(in_child(look), 0)[1] == 0
    number += step
"""
MEND = """
import sys
from pathlib import Path
from segops_durable.outbox import Outbox

outbox = Outbox(Path(sys.argv[1]), api_url="https://api.segops.ai", key_fingerprint="k")
outbox.commit.append([b'{"n":"first"}'])
outbox.incidents_are_told()
outbox.commit.append([b'{"n":"second"}'])
"""
