"""A setting that is wrong is named, and costs its own line of `doctor` only."""

from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING

import pytest

from segops_durable import ConfigurationError, SegOpsClient
from support.commands import Commands

if TYPE_CHECKING:
    from pathlib import Path

    from segops_durable.sandbox import Sandbox


@pytest.fixture
def commands(tmp_path: Path, sandbox: Sandbox) -> Commands:
    made = Commands(tmp_path, sandbox.url)
    made("track", "ann", "x")
    return made


@pytest.mark.parametrize(
    ("variable", "value", "problem"),
    [
        ("SEGOPS_API_KEY", "sk test", "api_key is malformed"),
        ("SEGOPS_API_KEY", "mk_1234", "api_key is a management key"),
        ("SEGOPS_API_KEY", '"sk_test"', "api_key is malformed"),
        ("SEGOPS_BATCH_SIZE", "many", "SEGOPS_BATCH_SIZE cannot be read"),
        ("SEGOPS_BATCH_SIZE", "501", "batch_size must be an integer from 1 to 500"),
        ("SEGOPS_TIMEOUT", "-1", "timeout must be a positive number of seconds"),
        ("SEGOPS_CONFIG", "/no/such.toml", "/no/such.toml cannot be read"),
    ],
)
def test_a_wrong_setting_costs_doctor_one_line(
    commands: Commands, variable: str, value: str, problem: str
) -> None:
    usual = commands("doctor").output.splitlines()
    commands.env[variable] = value
    output = commands("doctor", status=1).output
    lines = output.splitlines()
    failed = [line for line in lines if line.startswith("failed")]
    assert len(failed) == 1
    assert problem in failed[0]
    assert [line.split()[1] for line in lines] == [line.split()[1] for line in usual]
    assert "server: it answers" in output
    assert value not in output or variable != "SEGOPS_API_KEY"


def test_with_a_wrong_url_and_a_wrong_key_the_rest_is_checked(commands: Commands) -> None:
    commands.env.update(SEGOPS_API_URL="ftp://nowhere", SEGOPS_API_KEY="x y")
    output = commands("doctor", status=1).output
    assert "ok      waiting: 1 events" in output
    assert "api_url must" in output


def test_with_a_wrong_key_the_only_outbox_of_a_default_directory_is_looked_at(
    commands: Commands, monkeypatch: pytest.MonkeyPatch
) -> None:
    directory = commands.home / "d"
    monkeypatch.setattr("segops_durable.outbox.places.default_directory", lambda: directory)
    commands.env["SEGOPS_QUEUE_PATH"] = ""
    commands("track", "ann", "x")
    commands.env["SEGOPS_API_KEY"] = "sk test"
    assert "ok      waiting: 1 events" in commands("doctor", status=1).output
    commands.env["SEGOPS_API_KEY"] = "sk_other"
    commands("track", "ann", "x")
    commands.env["SEGOPS_API_KEY"] = "sk test"
    output = commands("doctor", status=1).output
    assert "note    outbox: which it is, only a key says" in output
    assert "server: it answers" in output


def test_config_shows_what_holds_though_some_of_it_is_wrong(commands: Commands) -> None:
    commands.env.update(SEGOPS_QUEUE_PATH="", SEGOPS_API_KEY="sk test", SEGOPS_TIMEOUT="soon")
    output = commands("config", status=2).output
    assert "the environment (SEGOPS_API_URL)" in output
    assert "SEGOPS_TIMEOUT cannot be read, got 'soon'" in output
    assert "api_key is malformed" in output
    assert "sk test" not in output
    found = json.loads(commands("config", "--json", status=2).stdout)
    assert found["outbox"] is None
    assert len(found["problems"]) == 2


def test_an_argument_that_is_none_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEGOPS_API_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("SEGOPS_API_KEY", "sk_test")
    with pytest.raises(ConfigurationError, match=r"quue_path is no option.*Is queue_path meant"):
        SegOpsClient.from_env(quue_path="x.db")
    with pytest.raises(ConfigurationError, match=r"zzz is no option.*There are api_url"):
        SegOpsClient.from_env(zzz=1)


def test_a_variable_that_is_mistyped_is_told_of_without_its_value(
    commands: Commands, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    commands.env["SEGOPS_QUEU_PATH"] = "sk_live_secret1"
    for words in (("doctor",), ("config",)):
        output = commands(*words).output
        assert "SEGOPS_QUEU_PATH is none of ours" in output
        assert "SEGOPS_QUEUE_PATH" in output
        assert "secret1" not in output
    for name, value in commands.env.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("SEGOPS_TENANT", "another program's")
    with caplog.at_level(logging.WARNING), SegOpsClient.from_env(shutdown_timeout=0):
        pass
    assert "SEGOPS_QUEU_PATH is none of ours; is it SEGOPS_QUEUE_PATH?" in caplog.text
    assert "TENANT" not in caplog.text
    assert "secret1" not in caplog.text


def test_settings_come_from_options_then_the_environment_then_a_file(commands: Commands) -> None:
    file = commands.home / "settings.toml"
    file.write_text(
        'api_key = "sk_secret_of_the_file"\nbatch_size = 7\n'
        f'queue_path = "{commands.home}/file.db"\ntimeout = 3\n'
    )
    commands.env.update(SEGOPS_CONFIG=str(file), SEGOPS_API_KEY="", SEGOPS_TIMEOUT="4")
    found = commands.json("config", "--queue-path", f"{commands.home}/option.db")
    settings = {name: each["value"] for name, each in found["settings"].items()}
    assert settings == {
        "api_key": "sk_…",
        "api_url": commands.env["SEGOPS_API_URL"],
        "batch_size": 7,
        "queue_path": f"{commands.home}/option.db",
        "timeout": 4.0,
    }
    sources = {name: each["source"] for name, each in found["settings"].items()}
    assert sources["queue_path"] == "the option --queue-path"
    assert sources["timeout"] == "the environment (SEGOPS_TIMEOUT)"
    assert sources["batch_size"] == f"the file {file}"
    commands.env["SEGOPS_QUEUE_PATH"] = f"{commands.home}/none.db"
    text = commands("config").output
    assert "secret_of_the_file" not in text
    assert "it is not there yet" in text
    file.write_text("batch_sise = 7")
    assert "got 'batch_sise'" in commands("config", status=2).output
    file.write_text("batch_size =")
    assert "is no TOML" in commands("config", status=2).output
