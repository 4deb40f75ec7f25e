"""The programs of the documentation: one as `spark-submit` runs it, the others in one session."""

from __future__ import annotations

import json
import os
import runpy
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from pyspark.sql import SparkSession

from support.programs import PROGRAMS
from support.spark_job import LIGHT
from support.spark_runs import numbers

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from segops_durable.sandbox import Sandbox


@pytest.fixture
def environ(sandbox: Sandbox, tmp_path: Path) -> dict[str, str]:
    key = tmp_path / "key"
    key.write_text("sk_test\n", encoding="utf-8")
    return {"SEGOPS_API_URL": sandbox.url, "SEGOPS_KEY_FILE": str(key), "TMPDIR": str(tmp_path)}


@pytest.fixture
def run_here(
    spark: SparkSession, tmp_path: Path, environ: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> Callable[..., None]:
    """Runs a program in the session that there is: to start a JVM for each takes long."""
    assert SparkSession.getActiveSession() is spark
    monkeypatch.chdir(tmp_path)
    for name, value in environ.items():
        monkeypatch.setenv(name, value)

    def run(program: str, *arguments: str) -> None:
        monkeypatch.setattr(sys, "argv", [program, *arguments])
        runpy.run_path(str(PROGRAMS / program), run_name="__main__")

    return run


def run_alone(program: str, *arguments: str, environ: dict[str, str]) -> None:
    """Run a program as `spark-submit` does, with a JVM of its own."""
    submit = "--master local[2] --conf spark.ui.enabled=false"
    submit += f" --driver-java-options '{LIGHT}' pyspark-shell"
    ours = {"PYSPARK_SUBMIT_ARGS": submit, "PYSPARK_PYTHON": sys.executable}
    subprocess.run(
        [sys.executable, str(PROGRAMS / program), *arguments],
        cwd=environ["TMPDIR"],
        env={**os.environ, **environ, **ours, "SPARK_LOCAL_IP": "127.0.0.1"},
        check=True,
    )


def test_spark_batch_writes_a_table(
    parquet: Path, sandbox: Sandbox, run_here: Callable[..., None]
) -> None:
    run_here("spark_batch.py", str(parquet), "2026-11-28")
    assert numbers(sandbox) == list(range(1000))
    assert sandbox.summary()["events"] == 1000


@pytest.mark.long
@pytest.mark.timeout(600)
def test_spark_stream_writes_what_is_put_into_a_directory_and_goes_on_when_it_is_run_again(
    sandbox: Sandbox, tmp_path: Path, environ: dict[str, str], run_here: Callable[..., None]
) -> None:
    source = tmp_path / "views"
    source.mkdir()
    arguments = ("spark_stream.py", str(source), str(tmp_path / "checkpoint"))

    def put(page: str) -> None:
        view = {"user_id": "user-1", "event_type": "page_viewed", "page": page}
        view["occurred_at"] = "2026-11-28T12:00:00.000Z"
        (source / f"{page}.json").write_text(json.dumps(view), encoding="utf-8")

    put("first")
    run_alone(*arguments, environ=environ)
    assert [each["event"]["payload"] for each in sandbox.events()] == [{"page": "first"}]
    put("second")
    run_here(*arguments)
    pages = [each["event"]["payload"]["page"] for each in sandbox.events()]
    assert pages == ["first", "second"]
