"""How fast a relay is, beside the sandbox, and a bare starlette application that stores nothing.

What the disk takes for itself is seen by two more of these: one that has it keep the bytes of each
request before it answers, and one that has SQLite commit the events. Over one connection nothing
can be shared, so no relay that keeps its word is faster there.

All of them are servers of one process under uvicorn; each reads the JSON that it is sent, as it
has to say how many events it has queued. They take turns, so that what else the machine does is
shared; the processor time of a request, of the server alone, says least of that.
"""

from __future__ import annotations

import argparse
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from speed.wire_load import Measured, put_load

if TYPE_CHECKING:
    from collections.abc import Iterator

_BARE = {"bare": "nothing", "bare, one sync": "sync", "bare, one commit": "commit"}
_RIVALS = ("bare", "bare, one commit")
"""What each rate is divided by, turn by turn."""
_LONG = ("bare", "sandbox", "relay")
_PORTS = {
    **{name: 8975 + number for number, name in enumerate(_BARE)},
    "sandbox": 8972,
    "relay": 8973,
    "relay, SegOps away": 8974,
}
_KB = 1024
_START_SECONDS = 30.0
_SECONDS_BETWEEN_LOOKS = 0.05


def _command(name: str, home: Path) -> tuple[list[str], dict[str, str]]:
    port = _PORTS[name]
    ours = [sys.executable, "-m", "segops_durable"]
    if name in _BARE:
        program = Path(__file__).with_name("bare.py")
        return [sys.executable, str(program), str(port), _BARE[name], str(home)], {}
    if name == "sandbox":
        return [*ours, "sandbox", "--port", str(port), "--store", str(home / "sandbox.db")], {}
    upstream = _PORTS["sandbox"] if name == "relay" else 9
    return [*ours, "relay", "--listen", f"127.0.0.1:{port}"], {
        "SEGOPS_API_URL": f"http://127.0.0.1:{upstream}",
        "SEGOPS_API_KEY": "sk_test",
        "SEGOPS_QUEUE_PATH": str(home / f"{port}.db"),
        "SEGOPS_CATCH_UP_BATCH_SIZE": "500",
    }


@contextmanager
def _running(name: str, home: Path) -> Iterator[subprocess.Popen[bytes]]:
    command, more = _command(name, home)
    if _listens(_PORTS[name]):  # or that one would be measured
        raise OSError(f"somebody listens on port {_PORTS[name]} already")
    environ = {**os.environ, **more, "HOME": str(home)}
    quiet = subprocess.DEVNULL
    with subprocess.Popen(command, env=environ, stdout=quiet, stderr=quiet) as process:
        try:
            _wait_for(_PORTS[name])
            yield process
        finally:
            process.kill()


def _wait_for(port: int) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while not _listens(port):
        if time.monotonic() > deadline:
            raise TimeoutError(f"nobody listens on port {port}")
        time.sleep(_SECONDS_BETWEEN_LOOKS)


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _memory(process: subprocess.Popen[bytes]) -> float:
    """Resident memory in MB; 0 where the system does not tell."""
    try:
        text = Path(f"/proc/{process.pid}/status").read_text(encoding="ascii")
    except OSError:
        return 0.0
    (line,) = (each for each in text.splitlines() if each.startswith("VmRSS"))
    return int(line.split()[1]) / _KB


def _processor_seconds(process: subprocess.Popen[bytes]) -> float:
    """Seconds that a server has used of the processors; 0 where the system does not tell."""
    try:
        text = Path(f"/proc/{process.pid}/stat").read_text(encoding="utf-8")
    except OSError:
        return 0.0
    user, system = text.rpartition(")")[2].split()[11:13]  # a name may have spaces in it
    return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


def _turns(home: Path, rounds: int, connections: int, seconds: float) -> dict[str, list[Measured]]:
    """Have each contender measured in turn; the sandbox is there for the relay all the time."""
    found: dict[str, list[Measured]] = {name: [] for name in _PORTS}
    for _ in range(rounds):
        for name, port in _PORTS.items():
            with ExitStack() as servers:
                server = _started(name, home, servers)
                before = _processor_seconds(server)
                measured = put_load(port, connections, seconds)
                measured.processor_seconds = _processor_seconds(server) - before
                found[name].append(measured)
    return found


def _tell(found: dict[str, list[Measured]], connections: int) -> None:
    for name, all_ in found.items():
        rate = statistics.median(each.per_second for each in all_)
        shares = " | ".join(f"{_share(all_, found[rival]):.2f}" for rival in _RIVALS)
        p99 = statistics.median(each.percentile(0.99) for each in all_) * 1000
        p50 = statistics.median(each.percentile(0.5) for each in all_) * 1000
        processor = statistics.median(each.processor_seconds_each for each in all_) * 1e6
        print(
            f"| {name} | {connections} | {rate:,.0f} | {shares} | {processor:.0f} \N{MICRO SIGN}s "
            f"| {p50:.1f} ms | {p99:.1f} ms | {sum(each.failed for each in all_)} |",
            flush=True,
        )


def _share(all_: list[Measured], rivals: list[Measured]) -> float:
    """Of a rival's rate, the median over the turns."""
    pairs = zip(all_, rivals, strict=True)
    return statistics.median(each.per_second / rival.per_second for each, rival in pairs)


def _tell_of_long(home: Path, connections: int, seconds: float) -> None:
    """Have each loaded for long, once it is warm: nothing may fail, and no memory grow."""
    for name in _LONG:
        with ExitStack() as servers:
            server = _started(name, home, servers)
            put_load(_PORTS[name], connections, seconds / 3)
            before = _memory(server)
            found = put_load(_PORTS[name], connections, seconds)
            after = _memory(server)
        print(
            f"{name}, {connections} connections for {seconds:.0f} s: "
            f"{found.per_second:,.0f} events a second, p99 {found.percentile(0.99) * 1000:.1f} ms, "
            f"{found.failed} answers of 5xx, "
            f"memory {before:.1f} MB before and {after:.1f} MB after",
            flush=True,
        )


def _started(name: str, home: Path, servers: ExitStack) -> subprocess.Popen[bytes]:
    """Start a contender, and what it needs."""
    if name == "relay":
        servers.enter_context(_running("sandbox", home))
    return servers.enter_context(_running(name, home))


def main(arguments: list[str]) -> int:
    """Read the options and measure."""
    parser = argparse.ArgumentParser(prog="relay_bench.py", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="of turns (%(default)s)")
    parser.add_argument("--seconds", type=float, default=3.0, help="a turn (%(default)s)")
    parser.add_argument(
        "--long", type=float, default=30.0, help="each of the last three (%(default)s)"
    )
    parser.add_argument("--connections", type=int, default=64, help="(%(default)s)")
    parser.add_argument("--directory", help="where the outboxes go: the disk to try")
    options = parser.parse_args(arguments)
    rivals = " | ".join(f'of "{rival}"' for rival in _RIVALS)
    print(
        f"| what | connections | events a second | {rivals} | processor, a request "
        "| p50 | p99 | 5xx |"
    )
    print("|---" * (7 + len(_RIVALS)) + "|", flush=True)
    with tempfile.TemporaryDirectory(prefix="segops-relay-", dir=options.directory) as home:
        for connections in (1, options.connections):
            found = _turns(Path(home), options.rounds, connections, options.seconds)
            _tell(found, connections)
        _tell_of_long(Path(home), options.connections, options.long)
    return 0
