from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    import pytest

    from segops_durable import SegOpsClient
    from segops_durable.sandbox import Sandbox

README = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"```python\n(.*?)```", README, re.DOTALL)


def test_the_example_runs_as_it_stands(sandbox: Sandbox, tmp_path: Path) -> None:
    example, _ = EXAMPLES
    assert len([line for line in example.splitlines() if line]) <= 10
    example = example.replace("https://api.segops.ai", sandbox.url)
    result = subprocess.run(
        [sys.executable, "-c", example],
        env={"XDG_STATE_HOME": str(tmp_path), "HOME": str(tmp_path), "PATH": ""},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert re.fullmatch(r"[012] sent, 0 waiting on disk\n", result.stdout)
    assert [row["event"]["event_type"] for row in sandbox.events()] == [
        "context_identified",
        "page_viewed",
    ]


def test_the_dead_letters_example_runs_as_it_stands(
    sandbox: Sandbox, make_client: Callable[..., SegOpsClient], capsys: pytest.CaptureFixture[str]
) -> None:
    client = make_client()
    sandbox.faults(status=400, json={"payload": ["Too sad."]})
    client.track(user_id="u", event_type="page_viewed", payload={"screen": "Pricing"})
    assert client.flush(timeout=10).dead == 1
    sandbox.faults()
    _, example = EXAMPLES
    exec(example, {"client": client})
    assert "1 Cause.REFUSED 400" in capsys.readouterr().out
    assert client.flush(timeout=10).ok
    assert len(sandbox.events()) == 1


def test_every_option_has_its_row() -> None:
    from segops_durable.options import Options  # noqa: PLC0415 - only this test reads it

    for name in Options.__dataclass_fields__:
        assert f"`{name}`" in README or name in README.split("## Options")[1], name
