"""Speed, as ratios within one run: absolute figures mean little on a shared machine.

    python tools/bench.py [--events N] [--rounds N] [--lines N] [--directory DIR] [--save [FILE]]
    python tools/bench.py --compare [FILE]

Every contender stores the same event. The rounds take turns, and the median round counts.
Run it in the project's environment; `tools/test.py` makes one.
"""

from __future__ import annotations

import argparse
import json
import sqlite3
import statistics
import sys
import tempfile
import threading
import time
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import _history
import persistqueue
import segops

import segops_durable
from segops_durable.sandbox import Sandbox

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

    Append: TypeAlias = Callable[[], object]
    Contender: TypeAlias = tuple[Callable[[Path], AbstractContextManager[Append]], int, int]

EVENT = {
    "user_id": "user-123",
    "event_type": "page_viewed",
    "occurred_at": "2026-01-31T12:00:00+00:00",
    "payload": {"screen": "Pricing", "position": 3, "price": 9.99},
}
WHEN = "2026-01-31T12:00:00Z"
NOWHERE = "http://127.0.0.1:9"  # the discard port: refused at once, like a machine offline
LINK_SECONDS = 0.05


@contextmanager
def bare_commit(directory: Path) -> Iterator[Append]:
    """One INSERT and one commit of the same row in stdlib sqlite3, WAL, synchronous=FULL."""
    with closing(
        sqlite3.connect(directory / "bare.db", isolation_level=None, check_same_thread=False)
    ) as connection:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")
        connection.execute(
            "CREATE TABLE q (_id INTEGER PRIMARY KEY AUTOINCREMENT, data BLOB, timestamp FLOAT,"
            " crc INTEGER, identity TEXT, uptime REAL, boot INTEGER)"
        )
        row = json.dumps(EVENT, separators=(",", ":")).encode()

        def append() -> None:
            connection.execute("BEGIN IMMEDIATE")
            connection.execute(
                "INSERT INTO q (data, timestamp, crc, identity, uptime, boot)"
                " VALUES (?, ?, ?, ?, ?, ?)",
                (row, 0.0, 0, "", 0.0, 1 << 47),
            )
            connection.execute("COMMIT")

        yield append


@contextmanager
def plain_put(directory: Path) -> Iterator[Append]:
    """`put` of persist-queue's SQLiteQueue, at synchronous=FULL as well."""
    queue = persistqueue.SQLiteQueue(str(directory / "put"), multithreading=True)
    connection: Any = queue._putter  # noqa: SLF001 - it has no option for it
    connection.execute("PRAGMA synchronous=FULL")
    try:
        yield lambda: queue.put(EVENT)
    finally:
        queue.close()


@contextmanager
def ours(directory: Path, api_url: str = NOWHERE) -> Iterator[Append]:
    """`track` of this package, durability full."""
    client = segops_durable.SegOpsClient(
        api_url,
        "sk_bench",
        queue_path=directory / "ours.db",
        on_error=lambda _error: None,
        shutdown_timeout=0,
    )
    try:
        yield lambda: client.track(EVENT)
    finally:
        client.shutdown()


@contextmanager
def official(api_url: str) -> Iterator[Append]:
    """`track` of the official client, whose queue is in memory."""
    client = segops.SegOpsClient(api_url, "sk_bench")
    try:
        yield lambda: client.track(EVENT)
    finally:
        client.shutdown()


def measure(append: Append, events: int, threads: int) -> tuple[float, float]:
    """Append from some threads; return seconds an event, and the p99 latency in seconds."""
    latencies: list[float] = []

    def work() -> None:
        mine = []
        for _ in range(events // threads):
            start = time.perf_counter()
            append()
            mine.append(time.perf_counter() - start)
        latencies.extend(mine)

    workers = [threading.Thread(target=work) for _ in range(threads)]
    start = time.perf_counter()
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    elapsed = time.perf_counter() - start
    return elapsed / len(latencies), statistics.quantiles(latencies, n=100)[98]


def compare(
    contenders: dict[str, Contender], rounds: int, home: str | None
) -> dict[str, list[tuple[float, float]]]:
    """Let the contenders take turns; return each one's (seconds an event, p99) by round."""
    results: dict[str, list[tuple[float, float]]] = {name: [] for name in contenders}
    for _ in range(rounds):
        for name, (make, events, threads) in contenders.items():
            with (
                tempfile.TemporaryDirectory(dir=home) as directory,
                make(Path(directory)) as append,
            ):
                results[name].append(measure(append, events, threads))
    return results


def report(results: dict[str, list[tuple[float, float]]]) -> dict[str, float]:
    """Print each contender's median; print and return the ratios: medians of the rounds' own."""
    for name, rounds in results.items():
        each = statistics.median(seconds for seconds, _ in rounds) * 1e6
        p99 = statistics.median(seconds for _, seconds in rounds) * 1e3
        print(f"{name:32} {each:9.0f} us an event   p99 {p99:7.2f} ms")
    print()
    return {
        name: _print_ratio(
            f"{name}, {text}",
            [one[0] / other[0] for one, other in zip(results[above], results[below], strict=True)],
        )
        for name, text, above, below in RATIOS
    }


def _print_ratio(text: str, ratios: list[float]) -> float:
    median = statistics.median(ratios)
    print(f"{text:48} {median:6.2f}   ({min(ratios):.2f} to {max(ratios):.2f})")
    return median


def compare_imports(lines: int, rounds: int, home: str | None) -> dict[str, float]:
    """Print how fast a file is imported; and the ratio to an `executemany` of what comes of it."""
    imports, inserts = [], []
    for _ in range(rounds):
        with tempfile.TemporaryDirectory(dir=home) as directory:
            path = Path(directory, "sales.jsonl")
            with path.open("w") as file:
                for number in range(lines):
                    row = {"email": f"user-{number}", "event_type": "sold", "at": WHEN}
                    file.write(json.dumps({**row, "amount": number / 2, "sku": "A-17"}) + "\n")
            imports.append(_import_once(path, Path(directory, "outbox.db")))
            inserts.append(_insert_again(Path(directory, "outbox.db"), Path(directory, "bare.db")))
    rate = lines / statistics.median(imports)
    print(f"{'import of JSON Lines':32} {rate:9,.0f} lines a second (100,000 asked)")
    name = "import / bare executemany"
    return {name: _print_ratio(name, [a / b for a, b in zip(imports, inserts, strict=True)])}


def _import_once(path: Path, queue_path: Path) -> float:
    field_map = segops_durable.FieldMap(columns={"user_id": "email", "occurred_at": "at"})
    with segops_durable.SegOpsClient(
        NOWHERE,
        "sk_bench",
        queue_path=queue_path,
        on_error=lambda _error: None,
        shutdown_timeout=0,
    ) as client:
        start = time.perf_counter()
        client.import_events(path, field_map=field_map)
        return time.perf_counter() - start


def _insert_again(queue_path: Path, bare: Path) -> float:
    """Seconds for an `executemany` of the same rows in stdlib sqlite3, 5000 to a commit."""
    columns = "data, timestamp, crc, identity, uptime, boot"
    with closing(sqlite3.connect(queue_path)) as file:
        rows = file.execute(f"SELECT {columns} FROM queue_outbox").fetchall()  # noqa: S608 - constants
    with closing(sqlite3.connect(bare, isolation_level=None)) as file:
        file.execute("PRAGMA journal_mode=WAL")
        file.execute("PRAGMA synchronous=FULL")
        file.execute(
            "CREATE TABLE q (_id INTEGER PRIMARY KEY AUTOINCREMENT, data BLOB, timestamp FLOAT,"
            " crc INTEGER, identity TEXT, uptime REAL, boot INTEGER)"
        )
        start = time.perf_counter()
        for first in range(0, len(rows), 5000):
            file.execute("BEGIN IMMEDIATE")
            file.executemany(
                f"INSERT INTO q ({columns}) VALUES (?, ?, ?, ?, ?, ?)",  # noqa: S608 - constants
                rows[first : first + 5000],
            )
            file.execute("COMMIT")
        return time.perf_counter() - start


RATIOS = (
    (
        "track / bare commit",
        "1 thread (1.25 at most)",
        "track, 1 thread",
        "sqlite3, bare commit",
    ),
    (
        "put / track",
        "16 threads (4 at least)",
        "persist-queue put, 16 threads",
        "track, 16 threads",
    ),
    (
        "official / track",
        "50 ms link (5 at least)",
        "official, 50 ms link",
        "track, 50 ms link",
    ),
)


def main() -> int:
    """Measure, print, and keep or show what was found before."""
    parser = argparse.ArgumentParser(description="Speed, as ratios within one run.")
    parser.add_argument("--events", type=int, default=1000, help="per contender and round")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--lines", type=int, default=200_000, help="of the file to import")
    parser.add_argument("--directory", help="where the outboxes go: the disk to measure")
    history: dict[str, Any] = {
        "nargs": "?",
        "type": Path,
        "const": _history.HISTORY,
        "metavar": "FILE",
    }
    parser.add_argument("--save", **history, help=f"append the ratios to {_history.HISTORY}")
    parser.add_argument("--compare", **history, help="show the last runs, and measure nothing")
    options = parser.parse_args()
    if options.compare is not None:
        try:
            print(_history.table(options.compare))
        except OSError as error:
            parser.error(f"no history to compare: {error}; --save makes one")
        return 0
    events = options.events
    with Sandbox() as sandbox:
        sandbox.faults(delay=LINK_SECONDS)
        url = sandbox.url
        contenders: dict[str, Contender] = {
            "sqlite3, bare commit": (bare_commit, events, 1),
            "track, 1 thread": (ours, events, 1),
            "persist-queue put, 1 thread": (plain_put, events, 1),
            "persist-queue put, 16 threads": (plain_put, events, 16),
            "track, 16 threads": (ours, events * 4, 16),
            "official, 50 ms link": (lambda _: official(url), events // 5, 1),
            "track, 50 ms link": (lambda directory: ours(directory, url), events, 1),
        }
        ratios = report(compare(contenders, options.rounds, options.directory))
    ratios |= compare_imports(options.lines, min(3, options.rounds), options.directory)
    if options.save is not None:
        _history.save(ratios, options.save)
    return 0


if __name__ == "__main__":
    sys.exit(main())
