"""A directory is one import: each part once, when its writer is done, with what its names say."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner

from segops_durable import ConfigurationError, ImportResult, SegOpsClient
from segops_durable.cli.commands import run
from segops_durable.intake.imports import open_source, open_sources
from segops_durable.intake.sources.source import BEGINNING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from segops_durable.intake.imports import Progress

pytestmark = pytest.mark.one_python


def payloads(client: SegOpsClient) -> list[Any]:
    return [json.loads(row.data)["payload"] for row in client._outbox.waiting.peek(100_000)]


def numbers(client: SegOpsClient) -> list[int]:
    return [each["n"] for each in payloads(client)]


def rows(first: int, count: int) -> list[dict[str, Any]]:
    return [{"user_id": "u", "event_type": "sold", "n": first + n} for n in range(count)]


def write(path: Path, first: int, count: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".parquet":
        pq.write_table(pa.Table.from_pylist(rows(first, count)), path)
    elif path.suffix == ".csv":
        lines = [f"u,sold,{row['n']}\n" for row in rows(first, count)]
        path.write_text("".join(["user_id,event_type,n\n", *lines]))
    else:
        path.write_text("".join(f"{json.dumps(row)}\n" for row in rows(first, count)))


def spark(directory: Path, suffix: str, parts: int = 4, count: int = 100) -> Path:
    """What Spark writes: parts, their checksums, and in the end the mark."""
    for part in range(parts):
        write(directory / f"part-0000{part}-f3c1.{suffix}", part * count, count)
        (directory / f".part-0000{part}-f3c1.{suffix}.crc").write_bytes(b"crc\0")
    (directory / "_SUCCESS").touch()
    return directory


@pytest.mark.parametrize("suffix", ["parquet", "csv", "jsonl"])
def test_its_parts_are_imported_in_order_of_their_names_and_each_once(
    client: SegOpsClient, tmp_path: Path, suffix: str
) -> None:
    directory = spark(tmp_path / "out", suffix)
    assert client.import_events(directory) == ImportResult(400, 0, 0)
    assert numbers(client) == list(range(400))
    assert client.import_events(directory) == ImportResult(0, 0, 400)
    write(directory / f"part-00000-0aaa.{suffix}", 1000, 5)  # before those that are done
    assert client.import_events(directory) == ImportResult(5, 0, 400)
    (tmp_path / "elsewhere").mkdir()
    moved = directory.rename(tmp_path / "elsewhere" / "out")
    assert client.import_events(moved) == ImportResult(0, 0, 405)


class KilledError(BaseException):
    """Ends an import as a kill would: between any two transactions."""


@pytest.mark.parametrize("kill", range(1, 8))
def test_killed_between_any_two_transactions_it_goes_on_within_a_part(
    client: SegOpsClient, tmp_path: Path, kill: int
) -> None:
    directory = spark(tmp_path / "out", "csv", parts=3)
    done = 0

    def end(_progress: Progress) -> None:
        nonlocal done
        done += 1
        if done == kill:
            raise KilledError

    def run() -> None:
        for source in open_sources(directory):
            source.most_rows = 40
            client.import_events(source, on_progress=end)

    with pytest.raises(KilledError):
        run()
    run()
    assert numbers(client) == list(range(300))


def test_parts_of_the_same_content_are_not_taken_for_copies(
    client: SegOpsClient, tmp_path: Path
) -> None:
    for part in ("a", "b", "day=1/a", "day=2/a"):
        write(tmp_path / "out" / f"{part}.jsonl", 0, 3)
    (tmp_path / "out" / "_SUCCESS").touch()
    assert client.import_events(tmp_path / "out").stored == 12
    assert client.import_events(tmp_path / "out", job="nightly").stored == 12
    assert client.import_events(tmp_path / "out", job="nightly").stored_before == 12


def test_what_its_directories_are_called_are_columns(client: SegOpsClient, tmp_path: Path) -> None:
    out = tmp_path / "sales=x" / "out"
    names = ("day=2026-01-31/shop=caf%C3%A9%3A1", "day=__HIVE_DEFAULT_PARTITION__/shop=b%2Fc")
    for place, name in enumerate(names):
        write(out / name / f"part-0.{('csv', 'parquet')[place]}", place, 1)
    write(out / "_temporary_no=1" / "part-1.jsonl", 2, 1)
    write(out / "_hidden" / "part-2.jsonl", 3, 1)
    write(out / "part-3.jsonl._COPYING_", 4, 1)
    (out / "_SUCCESS").touch()
    assert client.import_events(out).stored == 3
    assert payloads(client) == [
        {"n": 2, "_temporary_no": "1"},
        {"n": 0, "day": "2026-01-31", "shop": "café:1"},
        {"n": 1, "day": None, "shop": "b/c"},
    ]
    alone = out / names[0] / "part-0.csv"
    assert open_source(alone).columns == ("user_id", "event_type", "n", "day", "shop")
    day = open_sources(out / "day=2026-01-31")  # the table's mark is its own as well
    assert [source.partitions for source in day] == [{"day": "2026-01-31", "shop": "café:1"}]


def test_a_column_that_says_otherwise_than_its_directory_is_rejected(
    client: SegOpsClient, tmp_path: Path
) -> None:
    path = tmp_path / "n=5" / "a.jsonl"
    write(path, 4, 3)
    rejects = tmp_path / "rejects.jsonl"
    assert client.import_events(path, rejects=rejects) == ImportResult(1, 2, 0)
    assert "n is 4, where its directory says n=5" in rejects.read_text()


def test_a_directory_that_is_not_done_or_is_another_thing_is_refused(
    client: SegOpsClient, tmp_path: Path
) -> None:
    directory = tmp_path / "out"
    write(directory / "part-0.jsonl", 0, 3)
    with pytest.raises(ConfigurationError, match="without _SUCCESS"):
        client.import_events(directory)
    (directory / "_SUCCESS").touch()
    (directory / "_temporary").mkdir()
    with pytest.raises(ConfigurationError, match="still being written"):
        client.import_events(directory)
    (directory / "_temporary").rmdir()
    (directory / "_delta_log").mkdir()
    with pytest.raises(ConfigurationError, match="a table of Delta Lake"):
        client.import_events(directory)
    (directory / "_delta_log").rmdir()
    (directory / "again").symlink_to(directory)
    with pytest.raises(ConfigurationError, match="more than once, by a link"):
        client.import_events(directory)
    (directory / "again").unlink()
    os.mkfifo(directory / "part-0")
    with pytest.raises(ConfigurationError, match="part-0 is no file"):
        client.import_events(directory)
    (directory / "part-0").unlink()
    (directory / "part-1.xlsx").write_bytes(b"PK\x03\x04")
    with pytest.raises(ConfigurationError, match=r"part-1\.xlsx is a zip archive"):
        client.import_events(directory)
    assert client.stats().pending == 0


def test_a_part_is_refused_before_any_is_stored(client: SegOpsClient, tmp_path: Path) -> None:
    directory = spark(tmp_path / "out", "csv", parts=2)
    (directory / "part-9.csv").write_text("somebody,event_type\nu,sold\n")
    with pytest.raises(ConfigurationError, match=r"part-9\.csv: there is no column for user_id"):
        client.import_events(directory)
    assert client.stats().pending == 0


def test_an_empty_directory_that_is_done_has_no_events(
    client: SegOpsClient, tmp_path: Path
) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "_SUCCESS").touch()
    assert client.import_events(tmp_path / "out") == ImportResult(0, 0, 0)
    assert list(open_sources(tmp_path / "out")) == []


@contextmanager
def waiting_for(directory: Path) -> Iterator[subprocess.Popen[str]]:
    """The command, once it has said that it waits for a directory."""
    command = [sys.executable, "-m", "segops_durable", "import", str(directory), "--wait", "--json"]
    settings = {
        "SEGOPS_API_URL": "http://127.0.0.1:9",
        "SEGOPS_API_KEY": "sk_x",
        "SEGOPS_QUEUE_PATH": str(directory.parent / "outbox.db"),
    }
    pipe = subprocess.PIPE
    with subprocess.Popen(
        command, stdout=pipe, stderr=pipe, text=True, env={**os.environ, **settings}
    ) as waiting:
        assert waiting.stderr is not None
        assert "Waiting until" in waiting.stderr.readline()
        yield waiting


def test_the_command_waits_until_it_is_done(tmp_path: Path) -> None:
    directory = tmp_path / "out"
    with waiting_for(directory) as waiting:
        write(directory / "part-0.jsonl", 0, 3)
        assert waiting.poll() is None
        (directory / "bad.jsonl").write_text("bad\n")
        (directory / "_SUCCESS").touch()
        out, _ = waiting.communicate(timeout=60)
    assert (waiting.returncode, json.loads(out)["stored"]) == (1, 3)
    assert (tmp_path / "out.rejects.jsonl").exists()


@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGTERM")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_the_wait_in_order(tmp_path: Path, number: signal.Signals) -> None:
    with waiting_for(tmp_path / "out") as waiting:
        waiting.send_signal(number)
        _, said = waiting.communicate(timeout=60)
    assert waiting.returncode == 1, said
    assert "Traceback" not in said
    assert not (tmp_path / "outbox.db").exists()


def test_the_command_says_once_what_parts_are_that_are_alike(
    tmp_path: Path,
) -> None:
    directory = spark(tmp_path / "out", "csv", parts=3)
    write(directory / "part-9.jsonl", 0, 1)
    env = {
        "SEGOPS_API_URL": "http://127.0.0.1:9",
        "SEGOPS_API_KEY": "sk_x",
        "SEGOPS_QUEUE_PATH": str(tmp_path / "outbox.db"),
    }
    done = CliRunner().invoke(run, ["import", str(directory)], env=env)
    plans = [line for line in done.stderr.splitlines() if "user_id" in line]
    assert (done.exit_code, len(plans)) == (0, 2), done.stderr
    assert plans[0].endswith("(and 2 more parts)")
    assert "JSON Lines" in plans[1]


def test_the_places_of_parts_are_found_as_those_of_files_are(tmp_path: Path) -> None:
    directory = spark(tmp_path / "out", "csv", parts=2, count=30)
    first, second = open_sources(directory)
    assert first.job(None) != second.job(None)
    assert first.job("j") == "j/part-00000-f3c1.csv"
    assert open_source(first.path or "").job(None) is None
    assert [len(chunk.records) for chunk in second.chunks(BEGINNING)] == [30]
