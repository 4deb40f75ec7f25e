"""Tests with a real Spark: collected only where it is installed (`tools/test.py --spark`)."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from support.spark_runs import kill_all_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pyspark.sql import SparkSession

    from segops_durable.sandbox import Sandbox

collect_ignore_glob = [] if importlib.util.find_spec("pyspark") else ["test_*.py"]
TESTS = Path(__file__).parents[1]


@pytest.fixture(scope="session")
def spark(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SparkSession]:
    """A session of this process, `local[2]`, in which a task may fail as often as in a cluster."""
    from support.spark_job import session_of  # noqa: PLC0415 - Spark is not installed elsewhere

    os.environ["SEGOPS_API_KEY"] = "sk_test"  # of those who run in it
    home = tmp_path_factory.mktemp("spark")
    session = session_of("local[2,4]", home)
    yield session
    session.stop()


@pytest.fixture
def parquet(spark: SparkSession, tmp_path: Path) -> Path:
    """A directory of events that Spark has written as Parquet: 1,000 rows in four files."""
    from support.spark_job import events_in  # noqa: PLC0415 - as above

    directory = tmp_path / "events.parquet"
    events_in(spark, directory, 1000)
    return directory


@pytest.fixture
def scratch(tmp_path: Path) -> Path:
    return tmp_path / "scratch"


@pytest.fixture
def options(sandbox: Sandbox, scratch: Path) -> dict[str, str]:
    """The options of a write to the sandbox, in chunks of 50 rows."""
    return {"api_url": sandbox.url, "scratch": str(scratch), "batch_size": "50"}


@pytest.fixture
def save(options: dict[str, str]) -> Callable[..., None]:
    """Writes a DataFrame to the sandbox; further options are given by name."""

    def write(rows: Any, mode: str = "append", **more: str) -> None:
        writer = rows.write.format("segops").mode(mode)
        for name, value in {**options, **more}.items():
            writer = writer.option(name.replace("__", "."), value)
        writer.save()

    return write


@pytest.fixture
def start_driver(tmp_path: Path) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Starts drivers in processes, and JVMs, of their own; what is left is killed at the end."""
    started: list[subprocess.Popen[str]] = []

    def start(**job: Any) -> subprocess.Popen[str]:
        told = {"home": str(tmp_path / f"home-{len(started)}"), **job}
        with (tmp_path / f"driver-{len(started)}.log").open("w") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "support.spark_job", json.dumps(told)],
                env={**os.environ, "SEGOPS_API_KEY": "sk_test", "PYTHONPATH": str(TESTS)},
                cwd=tmp_path,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                start_new_session=True,
            )
        started.append(process)
        return process

    yield start
    for each in started:
        kill_all_of(each)
