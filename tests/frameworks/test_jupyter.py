"""A notebook, whose cells run within the kernel's event loop."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from segops_durable.sandbox import Sandbox
    from support.programs import Programs

pytestmark = [
    pytest.mark.long,
    pytest.mark.one_python,
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),  # of the notebook's own libraries
]


def test_a_notebook_tracks_also_in_a_cell_that_was_interrupted_and_run_again(
    sandbox: Sandbox, programs: Programs, monkeypatch: pytest.MonkeyPatch
) -> None:
    nbformat = pytest.importorskip("nbformat")
    client = pytest.importorskip("nbclient").NotebookClient
    for name in ("SEGOPS_API_URL", "SEGOPS_API_KEY", "SEGOPS_QUEUE_PATH"):
        monkeypatch.setenv(name, programs.environ[name])
    opened = "from segops_durable import SegOpsClient\nsegops = SegOpsClient.from_env()"
    track = "segops.track(user_id='ann', event_type='cell_run', payload={'n': %d})"
    cells = [opened, track % 0, opened, track % 1, "print(segops.flush(timeout=20).ok)"]
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(each) for each in cells])
    client(notebook, timeout=60).execute()
    assert notebook.cells[-1].outputs[0].text == "True\n"
    assert sorted(row["event"]["payload"]["n"] for row in sandbox.events()) == [0, 1]
