"""Whose an outbox is: spellings of one address, and queues that were left under another."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from segops_durable.client.options import Options
from segops_durable.events import encode_event
from segops_durable.outbox import Outbox
from support.commands import Commands
from support.events import numbered, numbers

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from segops_durable import SegOpsClient
    from segops_durable.sandbox import Sandbox

pytestmark = pytest.mark.one_python


def odd(url: str) -> str:
    """The address as an older version wrote it down: as it was typed."""
    return url.replace("http://", "HTTP://") + "/./"


def leave(path: Path, api_url: str, count: int = 3, *, api_key: str = "sk_test") -> None:
    """Leave events in an outbox, for that very text of an address."""
    fingerprint = Options(api_url="https://any.example", api_key=api_key).key_fingerprint
    outbox = Outbox(path, api_url=api_url, key_fingerprint=fingerprint)
    outbox.commit.append([encode_event(event) for event in numbered(count)])
    outbox.close()


@pytest.mark.parametrize("is_default", [True, False])
def test_an_outbox_that_was_made_under_another_spelling_is_found_and_sent(
    make_client: Callable[..., SegOpsClient],
    sandbox: Sandbox,
    default_directory: Path,
    is_default: bool,
) -> None:
    path = default_directory / "outbox-older.db"
    leave(path, odd(sandbox.url))
    client = make_client(queue_path=None if is_default else path, api_url=sandbox.url + "/")
    assert client.flush(timeout=60).ok
    assert numbers(sandbox) == [0, 1, 2]
    assert [each.name for each in default_directory.glob("*.db")] == ["outbox-older.db"]


def test_an_export_for_another_spelling_is_loaded(
    sandbox: Sandbox, tmp_path: Path, queue_path: Path
) -> None:
    commands = Commands(tmp_path, sandbox.url)
    leave(queue_path, sandbox.url)
    file = tmp_path / "carried.jsonl"
    commands("export", str(file), "--queue-path", str(queue_path))
    text = file.read_text()
    assert sandbox.url in text
    file.write_text(text.replace(sandbox.url, odd(sandbox.url)))
    assert commands.json("load", str(file))["loaded"] == 3
