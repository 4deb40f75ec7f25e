"""What every command does alike: it says what is wrong, and ends with the fitting status."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from support.commands import Commands


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (("track", "ann"), "Missing argument"),
        (("track", "ann", ""), "event_type: must be a non-empty string"),
        (("track", "ann", "x", "novalue"), "must be NAME=VALUE, got 'novalue'"),
        (("track", "ann", "x", "--payload", "[1]"), "must be a JSON object, got '[1]'"),
        (("track", "ann", "x", "--payload", "{"), "must be JSON"),
        (("track", "ann", "x", "--occurred-at", "now"), "occurred_at: must be ISO 8601"),
        (("import", "missing.jsonl"), "there is no file missing.jsonl"),
        (("import", "-", "--map", "user=x"), "columns must be of user_id"),
        (("import", "-", "--map", "user_id"), "--map must be FIELD=…, got 'user_id'"),
        (("import", "-", "-", "--job", "j"), "--job is for one file"),
        (("dead", "discard"), "give IDs, or --all"),
        (("status", "--config", "missing.toml"), "missing.toml cannot be read"),
    ],
)
def test_wrong_usage_is_status_2_and_says_what_is_wrong(
    commands: Commands, words: tuple[str, ...], problem: str
) -> None:
    assert problem in commands(*words, status=2).output


@pytest.mark.parametrize(
    "words", [("status",), ("peek",), ("dead", "list"), ("dead", "retry"), ("export", "x.jsonl")]
)
def test_on_an_empty_machine_a_command_says_that_there_is_nothing_yet(
    commands: Commands, words: tuple[str, ...]
) -> None:
    output = commands(*words, status=1).output
    assert f"there is no outbox at {commands.queue_path}" in output
    assert "--queue-path" in output


def test_without_settings_a_command_says_which_and_where(commands: Commands) -> None:
    for name in ("SEGOPS_API_URL", "SEGOPS_API_KEY"):
        commands.env[name] = ""
    output = commands("track", "ann", "x", status=2).output
    assert "api_url is not set" in output
    assert "SEGOPS_API_URL" in output
