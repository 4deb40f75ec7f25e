"""The programs of the documentation, run as `spark-submit` runs them: with a JVM of their own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from support.programs import PROGRAMS
from support.spark_runs import numbers

if TYPE_CHECKING:
    from pathlib import Path

    from segops_durable.sandbox import Sandbox


@pytest.fixture
def environ(sandbox: Sandbox, tmp_path: Path) -> dict[str, str]:
    key = tmp_path / "key"
    key.write_text("sk_test\n", encoding="utf-8")
    told = {"SEGOPS_API_URL": sandbox.url, "SEGOPS_KEY_FILE": str(key), "TMPDIR": str(tmp_path)}
    submit = "--master local[2] --conf spark.ui.enabled=false pyspark-shell"
    ours = {"PYSPARK_SUBMIT_ARGS": submit, "PYSPARK_PYTHON": sys.executable}
    return {**os.environ, **told, **ours, "SPARK_LOCAL_IP": "127.0.0.1"}


@pytest.mark.long
@pytest.mark.timeout(600)
def test_spark_batch_writes_a_table(
    parquet: Path, sandbox: Sandbox, tmp_path: Path, environ: dict[str, str]
) -> None:
    program = str(PROGRAMS / "spark_batch.py")
    command = [sys.executable, program, str(parquet), "2026-11-28"]
    subprocess.run(command, cwd=tmp_path, env=environ, check=True)
    assert numbers(sandbox) == list(range(1000))


@pytest.mark.long
@pytest.mark.timeout(600)
def test_spark_stream_writes_what_is_put_into_a_directory(
    sandbox: Sandbox, tmp_path: Path, environ: dict[str, str]
) -> None:
    source = tmp_path / "views"
    source.mkdir()
    view = {"user_id": "user-1", "event_type": "page_viewed", "page": "/"}
    view["occurred_at"] = "2026-11-28T12:00:00.000Z"
    (source / "1.json").write_text(json.dumps(view), encoding="utf-8")
    program = str(PROGRAMS / "spark_stream.py")
    command = [sys.executable, program, str(source), str(tmp_path / "checkpoint")]
    subprocess.run(command, cwd=tmp_path, env=environ, check=True)
    (event,) = sandbox.events()
    assert event["event"]["payload"] == {"page": "/"}
