"""The fixtures, for pytest: it imports this in every run, so nothing else is loaded with it.

Nor is the package loaded otherwise than without the plugin. Of a distribution that has plugins
pytest rewrites every module, for the sake of `assert`: of ours, which has none, that would take a
second in each run that uses the client and may not write bytecode.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from segops_durable.client import SegOpsClient
    from segops_durable.sandbox import Sandbox
    from segops_durable.testing.events import Events
    from segops_durable.testing.outage import Outage

_FLUSH_SECONDS = 0.05
_PACKAGE = "segops_durable"


def _leave_the_package_as_it_is() -> None:
    """Take the package off the list of what pytest rewrites, where it keeps one as it does now."""
    for finder in sys.meta_path:
        marked, known = (
            getattr(finder, name, None) for name in ("_must_rewrite", "_marked_for_rewrite_cache")
        )
        if isinstance(marked, set) and isinstance(known, dict):
            marked.discard(_PACKAGE)
            known.clear()


_leave_the_package_as_it_is()


@pytest.fixture
def segops_sandbox() -> Iterator[Sandbox]:
    """A local SegOps, running on a port of its own; its `url` is the ``api_url`` for clients."""
    try:
        from segops_durable.sandbox import Sandbox  # noqa: PLC0415 - pytest loads this in every run
    except ImportError as error:
        pytest.fail(
            f'{error.name} is not installed: pip install "segops-durable[testing]"', pytrace=False
        )
    with Sandbox() as sandbox:
        yield sandbox


@pytest.fixture
def segops_options() -> dict[str, Any]:
    """More arguments for ``segops_client``: a test module, or a class, overrides it."""
    return {}


@pytest.fixture
def segops_client(
    segops_sandbox: Sandbox, segops_options: dict[str, Any], tmp_path: Path
) -> Iterator[SegOpsClient]:
    """A client of ``segops_sandbox``, with an outbox in ``tmp_path``.

    It sends within 50 ms, and does not try again at once what fails; ``segops_options`` may say
    otherwise. At the end it is shut down without a last effort.
    """
    from segops_durable.client import SegOpsClient  # noqa: PLC0415 - pytest loads this in every run

    client = SegOpsClient(
        **{
            "api_url": segops_sandbox.url,
            "api_key": "sk_test",
            "queue_path": tmp_path / "segops" / "outbox.db",
            "flush_interval": _FLUSH_SECONDS,
            "max_retries": 0,
            **segops_options,
        }
    )
    yield client
    client.shutdown(timeout=0)


@pytest.fixture
def segops_events(segops_sandbox: Sandbox) -> Events:
    """What ``segops_sandbox`` has accepted so far, from whichever client."""
    from segops_durable.testing.events import Events  # noqa: PLC0415 - pytest loads this, as above

    def read() -> list[dict[str, Any]]:
        return [{**row["event"], "user_id": row["user_id"]} for row in segops_sandbox.events()]

    def known() -> str:
        answers = segops_sandbox.summary()["answers"]
        counts = ", ".join(f"{answer} ({count})" for answer, count in answers.items())
        return f"answers of the sandbox: {counts or 'none, as it was asked for nothing'}"

    return Events(read, known=known)


@pytest.fixture
def segops_offline(segops_sandbox: Sandbox) -> Iterator[Outage]:
    """An outage of ``segops_sandbox``: it has begun; `end` and `begin` are the test's."""
    from segops_durable.testing.outage import Outage  # noqa: PLC0415 - pytest loads this, as above

    outage = Outage(segops_sandbox)
    outage.begin()
    yield outage
    outage.close()


def pytest_assertrepr_compare(op: str, left: object, right: object) -> list[str] | None:
    """Say how events differ from those that a test expects."""
    events = sys.modules.get("segops_durable.testing.events")
    if events is None or op != "==":
        return None
    for found, expected in ((left, right), (right, left)):
        if isinstance(found, events.Events):
            return list(found.differences(expected))
    return None
