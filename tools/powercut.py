"""Cut the power everywhere in a run, and count what is lost: ``python tools/powercut.py``.

A client tracks events and sends them, while every operation on the outbox's files is
written down (`diskfault.c`). Then the disk is put together as a power cut may leave it
before or after a sync, or right after an acknowledgement: what was synced is there; what
was not is there, or not, or in part, in any order. Each such disk is opened with the real
outbox. It needs Linux, a C compiler, and the project's environment, which `tools/test.py`
makes.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import re
import shutil
import sqlite3
import struct
import subprocess
import sys
import tempfile
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from segops_durable import ConfigurationError, CopiedOutboxError
from segops_durable.outbox import Outbox
from segops_durable.sandbox import Sandbox

if TYPE_CHECKING:
    from collections.abc import Iterator

EVENTS = 300
_RECORD = struct.Struct("=cqqHH")
_SECTOR = 512
_SOURCE = Path(__file__).with_name("diskfault.c")

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


class Operation(NamedTuple):
    """What a program did to a file: Create, Write, Truncate, Sync, Unlink, Rename, Mkdir."""

    kind: str
    name: str
    other: str
    offset: int
    data: bytes


def read_log(path: Path) -> Iterator[Operation]:
    """Read what `diskfault.c` wrote down."""
    log = path.read_bytes()
    place = 0
    while place < len(log):
        kind, offset, length, name_size, other_size = _RECORD.unpack_from(log, place)
        place += _RECORD.size
        name = log[place : place + name_size].decode()
        other = log[place + name_size : place + name_size + other_size].decode()
        place += name_size + other_size
        data = log[place : place + length] if kind == b"w" else b""
        place += len(data)
        yield Operation(kind.decode(), name, other, offset, data)


@dataclass
class _File:
    """A file's synced content, and what was done to it since."""

    synced: bytearray = field(default_factory=bytearray)
    pending: list[Operation] = field(default_factory=list)

    def content(self, done: list[Operation]) -> bytearray:
        content = bytearray(self.synced)
        for operation in done:
            if operation.kind == "t":
                del content[operation.offset :]
                content += bytes(operation.offset - len(content))
            else:
                end = operation.offset + len(operation.data)
                content += bytes(max(0, end - len(content)))
                content[operation.offset : end] = operation.data
        return content

    def sync(self) -> None:
        self.synced, self.pending = self.content(self.pending), []


class Disk:
    """What a disk holds, and what it may hold after a power cut.

    Args:
        is_strict: Whether a new name needs a sync of its directory (POSIX), or a sync of the
            file does (as on ext4).
    """

    def __init__(self, *, is_strict: bool) -> None:
        self._is_strict = is_strict
        self._names: dict[str, _File] = {}
        self._synced_names: dict[str, _File] = {}
        self._directories: set[str] = set()  # that were made in the run

    def hold(self, name: str, content: bytes) -> None:
        """Have a file on it from the beginning."""
        self._names[name] = self._synced_names[name] = _File(bytearray(content))

    def apply(self, operation: Operation) -> None:
        """Do what the program did."""
        name = operation.name
        if operation.kind in {"c", "m"}:
            self._names[name] = _File()
            if operation.kind == "m":
                self._directories.add(name)
        elif operation.kind in {"w", "t"}:
            self._names.setdefault(name, _File()).pending.append(operation)
        elif operation.kind == "u":
            self._names.pop(name, None)
        elif operation.kind == "r":
            self._names[operation.other] = self._names.pop(name)
        else:
            self._sync(name)

    def _sync(self, name: str) -> None:
        if name in self._names and name not in self._directories:
            self._names[name].sync()
            if not self._is_strict:
                for each in (name, *_above(name)):
                    if each in self._names:
                        self._synced_names[each] = self._names[each]
        here = re.compile(re.escape(name) + "/[^/]+")
        for each in list(self._synced_names):
            if here.fullmatch(each) and each not in self._names:
                del self._synced_names[each]
        for each, file in self._names.items():
            if here.fullmatch(each):
                self._synced_names[each] = file

    def after_cut(self, chance: random.Random, keep: str) -> dict[str, bytes]:
        """A disk that a power cut may leave.

        Args:
            chance: What decides.
            keep: Of what was not synced: ``none``, ``all``, or ``some``.
        """
        names = dict(self._synced_names)
        if keep == "all" or (keep == "some" and chance.choice((True, False))):
            names = dict(self._names)
        return {
            name: bytes(_left(file, chance, keep))
            for name, file in names.items()
            if name not in self._directories and self._directories & _above(name) <= set(names)
        }


def _above(name: str) -> set[str]:
    return {str(parent) for parent in Path(name).parents}


def _left(file: _File, chance: random.Random, keep: str) -> bytearray:
    pending = file.pending
    if keep == "none":
        pending = []
    elif keep == "some":
        pending = [_torn(each, chance) for each in pending if chance.choice((True, False))]
    return file.content(pending)


def _torn(operation: Operation, chance: random.Random) -> Operation:
    """A write of which only the first sectors may have reached the disk."""
    sectors = len(operation.data) // _SECTOR
    if operation.kind != "w" or not sectors or chance.randrange(3):
        return operation
    return operation._replace(data=operation.data[: chance.randrange(sectors) * _SECTOR])


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


def build(directory: Path) -> Path | None:
    """Compile `diskfault.c`; None where there is no compiler."""
    compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    if compiler is None or sys.platform != "linux":
        return None
    library = directory / "diskfault.so"
    command = [compiler, "-shared", "-fPIC", "-O1", "-o", str(library), str(_SOURCE), "-ldl"]
    subprocess.run(command, check=True)
    return library


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
    """

    def __init__(self, run: Run, directory: Path, *, is_strict: bool) -> None:
        self._run = run
        self._directory = directory
        self._disk = Disk(is_strict=is_strict)
        self._chance = random.Random(2026)  # noqa: S311 - cuts that can be repeated
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
    """Run it for each setting and print a table; 1 if ``full`` lost anything."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=EVENTS)
    events = parser.parse_args(arguments).events
    with (
        tempfile.TemporaryDirectory(prefix="segops-powercut-") as directory,
        tempfile.TemporaryDirectory(dir=in_memory()) as disks,
    ):
        library = build(Path(directory))
        if library is None:
            sys.exit("this needs Linux and a C compiler")
        print(f"{'synchronous':12} {'names':6} {'cuts':>6} {'lossy':>6} {'damaged':>8} re-sent")
        failed = 0
        for durability in ("full", "normal", "off"):
            place = Path(directory, durability)
            place.mkdir()
            run = record(library, place, events, durability)
            for is_strict in (True, False):
                found = Cutter(run, Path(disks), is_strict=is_strict).cut_everywhere()
                names = "posix" if is_strict else "ext4"
                print(
                    f"{durability:12} {names:6} {found.cuts:6} {found.lossy:6}"
                    f" {found.damaged:8} {found.most_resent:7}",
                    flush=True,
                )
                failed += durability == "full" and bool(found.lossy + found.damaged)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
