"""Have Spark write a spool, kill its import with SIGKILL while it sends, and count what arrives.

Spark writes rows as Parquet, partitioned by day. `segops-durable import DIRECTORY --send` sends
them to a sandbox, which writes each event down before it answers. At instants that are drawn the
import is killed, and the same command is run again; the last run ends by itself. Then each row must
have arrived as it was written, a kill may have repeated the batches that were in flight, under
their keys, and no key may have come with two bodies.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from proof.spool_rows import event_of

if TYPE_CHECKING:
    from collections.abc import Iterator

ROWS, KILLS, BATCH = 100_000, 5, 500
_KILLED_UP_TO = 0.95
_LONGEST_SECONDS = 0.2
_LOOK_SECONDS = 0.005
_ROWS_OF_SPARK = Path(__file__).with_name("spool_rows.py")


@dataclass
class Arrived:
    """What the sandbox has written down.

    Attributes:
        rows: Different rows of the spool.
        events: All events, those that came again as well.
        altered: Events that are not what was written.
        again: Events in requests whose key had been accepted before.
        conflicts: Keys that came with two bodies.
    """

    rows: int
    events: int
    altered: int
    again: int
    conflicts: int

    def problems(self, rows: int, allowed: int) -> list[str]:
        """Say what must not be; nothing if all is well."""
        repeated = self.events - self.rows - self.altered
        found = {
            "rows are lost": rows - self.rows,
            "events came altered": self.altered,
            "keys came with two bodies": self.conflicts,
            "events came again under another key": repeated - self.again,
            f"events came again, more than the {allowed:,} that may": (
                self.again if self.again > allowed else 0
            ),
        }
        return [f"{count:,} {what}" for what, count in found.items() if count]


def judge(store: Path) -> Arrived:
    """Count what arrived.

    Args:
        store: The sandbox's file.
    """
    seen: set[int] = set()
    keys: dict[str, int] = {}
    events = altered = again = 0
    with closing(sqlite3.connect(store)) as file:
        (conflicts,) = file.execute(
            "SELECT count(*) FROM (SELECT 1 FROM requests WHERE path LIKE '%batch%' GROUP BY"
            " idempotency_key HAVING count(DISTINCT body_sha256) > 1 OR idempotency_key IS NULL)"
        ).fetchone()
        rows = file.execute(
            "SELECT event, request_id, idempotency_key FROM events"
            " JOIN requests ON requests.id = request_id ORDER BY events.id"
        )
        for text, request, key in rows:
            events += 1
            again += keys.setdefault(key, request) != request
            event = json.loads(text)
            number = event.get("payload", {}).get("n")
            if isinstance(number, int) and event == event_of(number):
                seen.add(number)
            else:
                altered += 1
    return Arrived(len(seen), events, altered, again, conflicts)


def run(options: argparse.Namespace, home: Path, seed: int) -> int:
    """Write, kill, count; print the verdict, and return the status."""
    spool = home / "spool"
    start = time.monotonic()
    command = [sys.executable, str(_ROWS_OF_SPARK), str(options.rows), str(spool)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    files = sum(1 for _ in spool.rglob("*.parquet"))
    print(f"Spark wrote {options.rows:,} rows in {files} files, {time.monotonic() - start:.0f} s")
    chance = random.Random(seed)  # noqa: S311 - it can be repeated
    most = int(options.rows * _KILLED_UP_TO)
    goals = sorted(chance.randrange(1, most) for _ in range(options.kills))
    start = time.monotonic()
    with _sandbox(home) as (url, store):
        for goal in goals:
            delay = chance.uniform(0, _LONGEST_SECONDS)
            came = _kill_at(_command(spool, options), _environment(home, url), store, goal, delay)
            print(f"killed at {came:,} events")
        last = subprocess.run(
            _command(spool, options),
            env=_environment(home, url),
            cwd=home,
            capture_output=True,
            text=True,
            check=False,
        )
    seconds = time.monotonic() - start
    print(f"imported and sent in {seconds:.0f} s; the last run: {last.stdout.strip()}")
    arrived = judge(store)
    allowed = options.kills * BATCH * options.connections
    problems = arrived.problems(options.rows, allowed)
    if last.returncode:
        problems.append(f"the last run ended with {last.returncode}: {last.stderr.strip()}")
    what = f"{options.rows:,} rows in {files} files of Spark, {options.kills} kills, seed {seed}"
    if problems:
        print(f"VERDICT: FAILED. {what}: {'; '.join(problems)}")
        return 1
    print(
        f"VERDICT: ok. {what}: {arrived.rows:,} delivered, 0 lost, 0 altered, 0 keys with two"
        f" bodies; {arrived.again:,} came again under their keys ({allowed:,} allowed)"
    )
    return 0


def _command(spool: Path, options: argparse.Namespace) -> list[str]:
    words = ["import", str(spool), "--send", "--json", "--connections", str(options.connections)]
    return [sys.executable, "-m", "segops_durable.cli", *words]


def _environment(home: Path, url: str) -> dict[str, str]:
    kept = {name: os.environ[name] for name in ("PATH", "LANG", "SYSTEMROOT") if name in os.environ}
    return {
        **kept,
        "HOME": str(home),
        "SEGOPS_API_URL": url,
        "SEGOPS_API_KEY": "sk_test",
        "SEGOPS_QUEUE_PATH": str(home / "outbox.db"),
    }


def _kill_at(
    command: list[str], environment: dict[str, str], store: Path, goal: int, delay: float
) -> int:
    """Run the import until so many events have come, and kill it a little later."""
    home = environment["HOME"]
    with subprocess.Popen(command, env=environment, cwd=home, stdout=subprocess.DEVNULL) as job:
        while _came(store) < goal:
            if job.poll() is not None:
                raise RuntimeError(f"the import ended by itself, with {job.returncode}")
            time.sleep(_LOOK_SECONDS)
        time.sleep(delay)
        job.kill()
    return _came(store)


def _came(store: Path) -> int:
    """How many events have come."""
    try:
        with closing(sqlite3.connect(f"{store.as_uri()}?mode=ro", uri=True)) as file:
            (found,) = file.execute("SELECT max(id) FROM events").fetchone()
    except sqlite3.OperationalError:  # it is not there yet
        return 0
    return found or 0


@contextmanager
def _sandbox(home: Path) -> Iterator[tuple[str, Path]]:
    """Run a sandbox in a process of its own; yield its URL, and the file it writes."""
    store = home / "accepted.db"
    command = [sys.executable, "-u", "-m", "segops_durable.cli", "sandbox", "--port", "0"]
    environment = {**_environment(home, ""), "SEGOPS_API_URL": "http://127.0.0.1:9"}
    with subprocess.Popen(
        [*command, "--store", str(store)], env=environment, stdout=subprocess.PIPE, text=True
    ) as server:
        try:
            line = server.stdout.readline() if server.stdout else ""
            yield next(word for word in line.split() if word.startswith("http")), store
        finally:
            server.terminate()


def main(arguments: list[str]) -> int:
    """Read the options and run."""
    parser = argparse.ArgumentParser("spool.py", description=__doc__)
    parser.add_argument("--rows", type=int, default=ROWS, help="that Spark writes (%(default)s)")
    parser.add_argument("--kills", type=int, default=KILLS, help="how many (%(default)s)")
    parser.add_argument("--connections", type=int, default=1, help="of the import (%(default)s)")
    parser.add_argument("--seed", type=int, help="of what is decided by chance")
    options = parser.parse_args(arguments)
    if min(options.rows, options.kills, options.connections) < 1:
        parser.error("--rows, --kills and --connections must be at least 1")
    if shutil.which("java") is None and "JAVA_HOME" not in os.environ:
        parser.error("Spark needs Java 17 or later, and there is none")
    seed = random.SystemRandom().randrange(10**8) if options.seed is None else options.seed
    print(f"seed {seed}", flush=True)
    with tempfile.TemporaryDirectory(prefix="segops-spool-") as home:
        return run(options, Path(home), seed)
