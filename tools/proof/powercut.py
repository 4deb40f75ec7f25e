"""Cut the power everywhere in a run, and count what is lost.

A client tracks events and sends them, while every operation on the outbox's files is
written down (`diskfault.c`). Then the disk is put together as a power cut may leave it
before or after a sync, or right after an acknowledgement: what was synced is there; what
was not is there, or not, or in part, in any order. Each such disk is opened with the real
outbox. It needs Linux and a C compiler.

A table has a line for each `durability`, and for `off`, which is no option and shows that the cuts
are real; by the rules of POSIX and of ext4 for names. With `full` no acknowledged event may be
lost, no disk damaged, and no more than one batch held that the server had taken.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import re
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from proof.disks import Disk, Operation, read_log
from proof.shims import build
from segops_durable import ConfigurationError, CopiedOutboxError
from segops_durable.outbox import Outbox
from segops_durable.sandbox import Sandbox

EVENTS = 300
_MOST_EVENTS = 100_000
_BATCH = 20

WORKLOAD = """
import json, os, sys
import requests
from segops_durable import Event, SegOpsClient
from segops_durable.outbox.store.event_queue import EventQueue

url, queue_path, events, durability = sys.argv[1:]
if durability == "off":  # no option of ours: it shows that the cuts are real
    configure = EventQueue._configure
    def unsafe(self, connection):
        configure(self, connection)
        connection.execute("PRAGMA synchronous=OFF")
    EventQueue._configure = unsafe
    durability = "normal"

directory = os.path.dirname(os.path.dirname(queue_path))
marks = os.open(os.path.join(directory, "marks"), os.O_CREAT | os.O_WRONLY)

def mark(text):
    os.write(marks, (text + ";").encode())

class Session(requests.Session):
    def send(self, request, **options):
        response = super().send(request, **options)
        for event in json.loads(request.body)["events"]:
            mark("accepted %d" % event["payload"]["n"])
        return response

client = SegOpsClient(
    url, "sk_test", queue_path=queue_path, durability=durability,
    http_session=Session(), flush_interval=0.005,
)
for number in range(int(events)):
    client.track(Event("u", "e", payload={"n": number, "blob": "x" * (number % 300)}))
    mark("tracked %d" % number)
client.shutdown()
"""


@dataclass
class Result:
    """What the cuts did.

    Attributes:
        cuts: Disks that were looked at.
        lossy: Disks on which an acknowledged event was neither waiting nor accepted.
        damaged: Disks that were not an outbox any more.
        most_resent: Events that the server had and the outbox held, in one disk at most.
    """

    cuts: int = 0
    lossy: int = 0
    damaged: int = 0
    most_resent: int = 0


class Run(NamedTuple):
    """What a client did to its files, and which SegOps it spoke to."""

    operations: list[Operation]
    api_url: str


def record(library: Path, directory: Path, events: int, durability: str) -> Run:
    """Run the client against a sandbox, and return what it did to its files."""
    queue_path, log = directory / "disk" / "queue" / "outbox.db", directory / "log"
    queue_path.parent.parent.mkdir()
    with Sandbox() as sandbox:
        subprocess.run(
            [sys.executable, "-c", WORKLOAD, sandbox.url, queue_path, str(events), durability],
            env={
                **os.environ,
                "LD_PRELOAD": str(library),
                "DISKFAULT_DIR": str(queue_path.parent.parent),
                "DISKFAULT_LOG": str(log),
            },
            check=True,
        )
    return Run(list(read_log(log)), sandbox.url)


class Cutter:
    """Cuts the power around every sync and after every mark of a run; counts what is lost.

    Args:
        run: What was done to the files.
        directory: Where the disks are put together; in memory is best.
        is_strict: See `Disk`.
        seed: Of what a disk keeps that was not synced. Defaults to 2026.
    """

    def __init__(self, run: Run, directory: Path, *, is_strict: bool, seed: int = 2026) -> None:
        self._run = run
        self._directory = directory
        self._disk = Disk(is_strict=is_strict)
        self._chance = random.Random(seed)  # noqa: S311 - cuts that can be repeated
        self._tracked: set[int] = set()
        self._accepted: set[int] = set()
        self.result = Result()

    def cut_everywhere(self) -> Result:
        """Go through the run."""
        for operation in self._run.operations:
            if operation.name.endswith("/marks"):
                self._note(operation.data)
                self._cut()
            elif not operation.name.endswith(("-shm", ".lock", ".sender", ".reserve")):
                if operation.kind == "s":
                    self._cut()
                self._disk.apply(operation)
                if operation.kind == "s":
                    self._cut()
        return self.result

    def _note(self, marks: bytes) -> None:
        for kind, number in re.findall(rb"(tracked|accepted) (\d+);", marks):
            (self._tracked if kind == b"tracked" else self._accepted).add(int(number))

    def _cut(self) -> None:
        for keep in ("none", "all", "some"):
            self.result.cuts += 1
            waiting = self._recover(self._disk.after_cut(self._chance, keep))
            if waiting is None:
                self.result.damaged += 1
                waiting = set()
            self.result.lossy += bool(self._tracked - self._accepted - waiting)
            resent = len(waiting & self._accepted)
            self.result.most_resent = max(self.result.most_resent, resent)

    def _recover(self, left: dict[str, bytes]) -> set[int] | None:
        """Open the outbox after the cut; return what waits, or None if it is damaged."""
        place = Path(tempfile.mkdtemp(dir=self._directory))
        try:
            for name, content in left.items():
                (place / Path(name).name).write_bytes(content)
            return _waiting(place / "outbox.db", self._run.api_url)
        finally:
            shutil.rmtree(place)


def _waiting(path: Path, api_url: str) -> set[int] | None:
    try:
        outbox = Outbox(path, api_url=api_url, key_fingerprint="any")
    except ConfigurationError:  # nothing in it says any more that it is one
        return None
    try:
        with closing(sqlite3.connect(path)) as file:
            rows = file.execute("SELECT data FROM queue_outbox").fetchall()
        # that each disk is a copy is no news
        if any(not isinstance(each, CopiedOutboxError) for each in outbox.pop_incidents()):
            return None
        return {json.loads(row[0])["payload"]["n"] for row in rows}
    except (sqlite3.Error, TypeError, ValueError):
        return None
    finally:
        outbox.close()


def in_memory() -> str | None:
    """A directory whose files are in memory, where there is one."""
    return "/dev/shm" if os.access("/dev/shm", os.W_OK) else None  # noqa: S108 - see above


def main(arguments: list[str]) -> int:
    """Run it for each setting, print a table and a verdict; 1 if ``full`` lost anything."""
    parser = argparse.ArgumentParser(
        prog="powercut.py",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="Status 0: nothing was lost. 1: something was, or it could not be shown.",
    )
    parser.add_argument("--events", type=int, default=EVENTS, help="in a run (%(default)s)")
    parser.add_argument("--seed", type=int, help="of what is decided by chance (a new one)")
    options = parser.parse_args(arguments)
    events, seed = options.events, options.seed
    if not 1 <= events <= _MOST_EVENTS:
        parser.error(f"--events must be 1 to {_MOST_EVENTS}")
    seed = random.randrange(2**32) if seed is None else seed  # noqa: S311 - no secret
    print(f"seed {seed}", flush=True)
    with (
        tempfile.TemporaryDirectory(prefix="segops-powercut-") as directory,
        tempfile.TemporaryDirectory(dir=in_memory()) as disks,
    ):
        library = build(Path(directory))
        if library is None:
            print("VERDICT: FAILED. It needs Linux and a C compiler")
            return 1
        print(f"{'synchronous':12} {'names':6} {'cuts':>6} {'lossy':>6} {'damaged':>8} re-sent")
        found = {
            durability: _cut(library, Path(directory, durability), Path(disks), events, seed)
            for durability in ("full", "normal", "off")
        }
    line, status = verdict(found["full"], found["off"], f", seed {seed}")
    print(line)
    return status


def _cut(library: Path, place: Path, disks: Path, events: int, seed: int) -> Result:
    """Cut one run by both rules; print what came of it."""
    place.mkdir()
    run = record(library, place, events, place.name)
    both = Result()
    for is_strict in (True, False):
        found = Cutter(run, disks, is_strict=is_strict, seed=seed).cut_everywhere()
        print(
            f"{place.name:12} {'posix' if is_strict else 'ext4':6} {found.cuts:6} {found.lossy:6}"
            f" {found.damaged:8} {found.most_resent:7}",
            flush=True,
        )
        both.cuts += found.cuts
        both.lossy += found.lossy
        both.damaged += found.damaged
        both.most_resent = max(both.most_resent, found.most_resent)
    return both


def verdict(full: Result, off: Result, how: str = "") -> tuple[str, int]:
    """One line that says how it went, and the status to end with.

    Args:
        full: What the cuts did with ``durability="full"``.
        off: What they did where nothing is synced: they have to do harm there.
        how: What else to say of the run. Defaults to nothing.
    """
    problems = {
        f"{full.lossy:,} disks had lost an acknowledged event": full.lossy,
        f"{full.damaged:,} disks were damaged": full.damaged,
        f"{full.most_resent:,} events would be sent again": full.most_resent > _BATCH,
        "the cuts do no harm where nothing is synced, so they show nothing": not off.lossy,
    }
    found = [text for text, is_so in problems.items() if is_so]
    of_what = f"{full.cuts:,} power cuts with durability full{how}"
    if found:
        return f"VERDICT: FAILED. {of_what}: {'; '.join(found)}", 1
    return (
        f"VERDICT: ok. {of_what}: 0 lost an acknowledged event, 0 damaged the outbox, at most"
        f" {full.most_resent} events are sent again"
    ), 0
