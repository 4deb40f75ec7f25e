"""The outbox that a command finds: none, the only one, a damaged one, or what never was one."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from segops_durable import ConfigurationError
from support.beside import beside
from support.commands import NOWHERE, Commands, closing_client
from support.events import numbered

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from segops_durable.sandbox import Sandbox

pytestmark = pytest.mark.one_python


def test_the_only_outbox_of_a_machine_is_found_without_a_key(
    commands: Commands, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "segops_durable.outbox.places.default_directory", lambda: commands.home / "d"
    )
    commands.env["SEGOPS_QUEUE_PATH"] = ""
    commands("track", "ann", "x")
    commands.env["SEGOPS_API_KEY"] = ""
    assert commands.waiting() == 1
    commands.env["SEGOPS_API_KEY"] = "sk_other"
    commands("track", "ann", "x")
    commands.env["SEGOPS_API_KEY"] = ""
    assert "there are several" in commands("status", status=2).output


LOOKS = (
    ("status",),
    ("peek",),
    ("dead", "list"),
    ("dead", "export", "x.jsonl"),
    ("export", "x.jsonl"),
    ("doctor", "--offline"),
)
USES = (
    ("drain",),
    ("dead", "retry"),
    ("export", "--remove", "x.jsonl"),
    ("track", "ann", "x"),
    ("doctor", "--repair"),
)


def damage_header(path: Path) -> None:
    with closing(sqlite3.connect(path)) as file:
        file.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    data = bytearray(path.read_bytes())
    data[:100] = b"\xaa" * 100
    path.write_bytes(data)


def lie_of(directory: Path) -> dict[str, tuple[int, bytes]]:
    """Everything in a directory: what is changed, made or renamed makes it another."""
    files = (each for each in directory.iterdir() if each.is_file())
    return {each.name: (each.stat().st_ino, each.read_bytes()) for each in files}


@pytest.mark.parametrize("words", USES)
def test_a_damaged_file_is_told_of_and_does_not_stop_a_command(
    commands: Commands, words: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(commands.home)
    commands("track", "ann", "x")
    damage_header(commands.queue_path)
    output = commands(*words).output
    assert "was damaged" in output
    assert "check the disk" in output


@pytest.mark.parametrize("has_lock", [True, False])
@pytest.mark.parametrize("words", LOOKS)
def test_a_look_at_a_damaged_file_names_the_mend_and_changes_nothing(
    commands: Commands, words: tuple[str, ...], monkeypatch: pytest.MonkeyPatch, *, has_lock: bool
) -> None:
    monkeypatch.chdir(commands.home)
    commands("track", "ann", "x")
    damage_header(commands.queue_path)
    if not has_lock:
        for each in commands.home.glob("outbox.db.*"):
            each.unlink()
    before = lie_of(commands.home)
    assert "doctor --repair" in commands(*words, status=1).output
    assert lie_of(commands.home) == before
    commands("doctor", "--repair")
    assert commands.waiting() == 1


def of_another_program(path: Path) -> None:
    with closing(sqlite3.connect(path)) as file:
        file.execute("PRAGMA journal_mode=WAL")
        file.execute("CREATE TABLE notes (id INTEGER PRIMARY KEY, text)")
        file.execute("INSERT INTO notes (text) VALUES ('precious')")
        file.commit()


STRANGERS: dict[str, Callable[[Path], object]] = {
    "a text": lambda path: path.write_text("queue_outbox\n" * 500),
    "a picture": lambda path: path.write_bytes(b"\x89PNG\r\n" + bytes(range(256)) * 40),
    "a letter": lambda path: path.write_text("x"),
    "another program's database": of_another_program,
}


@pytest.mark.parametrize("stranger", STRANGERS)
@pytest.mark.parametrize("words", LOOKS + USES)
def test_no_command_changes_a_file_that_never_was_an_outbox(
    commands: Commands, words: tuple[str, ...], stranger: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(commands.home)
    STRANGERS[stranger](commands.queue_path)
    before = lie_of(commands.home)
    output = commands(*words, status=1 if words in LOOKS and words[0] == "doctor" else 2).output
    assert str(commands.queue_path) in " ".join(output.split())
    assert "must be an outbox" in output
    assert lie_of(commands.home) == before


@pytest.mark.parametrize("stranger", STRANGERS)
def test_a_client_refuses_a_file_that_never_was_an_outbox(
    commands: Commands, stranger: str
) -> None:
    STRANGERS[stranger](commands.queue_path)
    before = lie_of(commands.home)
    with pytest.raises(ConfigurationError, match="queue_path must be an outbox") as caught:
        closing_client(commands)
    assert caught.value.field == "queue_path"
    assert lie_of(commands.home) == before


def test_a_stranger_is_refused_though_an_outbox_was_in_its_place(commands: Commands) -> None:
    commands("track", "ann", "x")
    for end in ("", "-wal", "-shm"):
        commands.queue_path.with_name(f"outbox.db{end}").unlink(missing_ok=True)
    of_another_program(commands.queue_path)
    before = commands.queue_path.read_bytes()
    commands("track", "ann", "x", status=2)
    assert commands.queue_path.read_bytes() == before


def test_an_outbox_is_known_by_its_rows_or_by_what_is_noted_beside_it(commands: Commands) -> None:
    with closing_client(Commands(commands.home, NOWHERE)) as client:
        client.track_many(numbered(300))
    commands.env["SEGOPS_API_URL"] = NOWHERE
    path = commands.queue_path
    damage_header(path)
    data = path.read_bytes()
    lock = path.with_name("outbox.db.lock")
    noted = lock.read_bytes()
    lock.unlink()
    path.write_bytes(bytes(4096) + data[4096:])  # no schema, and nothing beside it
    commands("doctor", "--repair", "--offline")
    assert commands.waiting() == 300
    for each in commands.home.glob("outbox.db*"):
        each.unlink()
    path.write_bytes(b"\xaa" * 9000)
    lock.write_bytes(noted)
    commands("doctor", "--repair", "--offline")
    assert commands.json("status")["lost_total"] == 300


def test_an_empty_file_is_no_outbox_yet_and_a_look_makes_none_of_it(commands: Commands) -> None:
    commands.queue_path.touch()
    before = lie_of(commands.home)
    for words in LOOKS[:-1]:
        assert "there is no outbox" in commands(*words, status=1).output
    commands("doctor", "--offline")
    assert lie_of(commands.home) == before
    commands("track", "ann", "x")
    assert commands.waiting() == 1


def test_what_a_command_stores_by_the_batch_is_sent_at_once_by_the_process_that_sends(
    commands: Commands, sandbox: Sandbox, wait_until: Callable[[Callable[[], object]], None]
) -> None:
    file = commands.home / "events.jsonl"
    file.write_text('{"user_id":"ann","event_type":"x"}\n' * 40)
    with beside(sandbox.url, commands.queue_path, flush_interval=600.0) as sender:
        sender.ask("become_sender")
        commands("import", str(file))
        wait_until(lambda: len(sandbox.events()) == 40)
