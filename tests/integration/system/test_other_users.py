from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner

from segops_durable import ConfigurationError, SegOpsClient, StorageError
from segops_durable.cli.commands import run
from segops_durable.system.trusted_paths import check_replaceable
from support.users import (
    NOWHERE,
    OTHER,
    OWNER,
    as_user,
    client_at,
    home_of,
    needs_root,
    roots,
    track_at,
)

if TYPE_CHECKING:
    from pathlib import Path

    from click.testing import Result

pytestmark = [
    pytest.mark.one_python,
    needs_root,
    # Python warns of what is tested here
    pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning"),
]


def command(*words: object) -> Result:
    env = {"SEGOPS_API_URL": NOWHERE, "SEGOPS_API_KEY": "sk_test"}
    return CliRunner().invoke(run, [str(each) for each in words], env=env)


def damage(path: Path) -> None:
    with path.open("r+b") as file:
        file.seek(30)
        file.write(b"\xaa" * 3000)


def lose_companions(path: Path) -> None:
    for each in path.parent.glob(path.name + ".*"):
        each.unlink()


COMMANDS = {
    "track": ("track", "ann", "page_viewed"),
    "import": ("import", "{home}/sales.jsonl"),
    "drain": ("drain", "--timeout", "0.2"),
    "doctor": ("doctor", "--offline"),
    "repair": ("doctor", "--offline", "--repair"),
    "status": ("status",),
    "export": ("export", "{home}/carry/export.jsonl"),
    "dead": ("dead", "export", "{home}/carry/dead.jsonl"),
}


@pytest.mark.parametrize("before", [None, "well", "damaged", "without its lock"])
@pytest.mark.parametrize("command", COMMANDS)
def test_what_roots_commands_make_belongs_to_the_owner_of_the_place(
    command: str, before: str | None, home: Path
) -> None:
    path = home / "state" / "deep" / "outbox.db"
    (home / "carry").mkdir()
    (home / "sales.jsonl").write_text('{"user_id": "u", "event_type": "sold_it"}\n{"no": 1}\n')
    for each in ("carry", "sales.jsonl"):
        os.chown(home / each, OWNER, OWNER)
    if before is not None:
        as_user(OWNER, lambda: track_at(path))
    if before == "damaged":
        damage(path)
    if before == "without its lock":
        lose_companions(path)
    words = [each.format(home=home) for each in COMMANDS[command]]
    env = {"SEGOPS_API_URL": NOWHERE, "SEGOPS_API_KEY": "sk_x", "SEGOPS_QUEUE_PATH": str(path)}
    result = CliRunner().invoke(run, words, env={**env, "XDG_CONFIG_HOME": str(home)})
    assert result.exception is None or isinstance(result.exception, SystemExit)
    assert roots(home) == []
    as_user(OWNER, lambda: track_at(path))


def test_what_cannot_be_given_to_its_owner_is_not_made(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "fchown", refuse)  # as root in a container has no CAP_CHOWN
    with pytest.raises(StorageError, match=f"user {OWNER}"):
        client_at(home / "state" / "outbox.db")
    assert list(home.iterdir()) == []


def test_root_sets_nothing_aside_that_it_cannot_replace(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = home / "outbox.db"
    as_user(OWNER, lambda: track_at(path))
    damage(path)
    before = path.read_bytes()
    names = sorted(each.name for each in home.iterdir())

    def refuse(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "fchown", refuse)
    with pytest.raises(StorageError, match=f"user {OWNER}"):
        client_at(path)
    assert path.read_bytes() == before
    assert sorted(each.name for each in home.iterdir()) == names


def test_a_third_user_is_told_in_a_sentence_and_changes_nothing(home: Path) -> None:
    path = home / "outbox.db"
    as_user(OWNER, lambda: track_at(path))
    home.chmod(0o777)  # others may write here, though not to the file
    before = sorted(each.name for each in home.iterdir())

    def look() -> None:
        with pytest.raises(StorageError, match="belongs to user"):
            client_at(path)
        words = ["status", "--queue-path", str(path)]
        result = CliRunner().invoke(run, words, env={"XDG_CONFIG_HOME": str(home)})
        assert result.exit_code == 1
        assert f"belongs to user {OWNER}" in result.output

    as_user(OTHER, look)
    assert sorted(each.name for each in home.iterdir()) == before


def test_nobody_but_root_and_its_owner_may_put_another_file_where_one_is(home: Path) -> None:
    path = home / "outbox.db"
    path.touch()
    os.chown(path, OWNER, OWNER)
    home.chmod(0o777)

    def refused() -> None:
        with pytest.raises(StorageError, match=f"belongs to user {OWNER}"):
            check_replaceable(path)

    as_user(OTHER, refused)
    as_user(OWNER, lambda: check_replaceable(path))
    check_replaceable(path)


@pytest.mark.parametrize("end", ["", ".lock", "-wal"])
def test_a_strangers_file_where_everybody_may_write_is_refused(end: str) -> None:
    with home_of(0, 0o1777) as shared:
        path = shared / "outbox.db"
        planted = path.with_name(path.name + end)
        planted.touch()
        os.chown(planted, OTHER, OTHER)
        with pytest.raises(StorageError, match=f"belongs to user {OTHER}"):
            client_at(path)
        assert planted.read_bytes() == b""


def test_a_strangers_link_where_everybody_may_write_is_not_followed() -> None:
    with home_of(0, 0o1777) as shared, home_of(OWNER) as home:
        link = shared / "outbox.db"
        link.symlink_to(home / "notes.txt")
        os.chown(link, OTHER, OTHER, follow_symlinks=False)
        with pytest.raises(StorageError, match=f"link of user {OTHER}"):
            client_at(link)
        assert list(home.iterdir()) == []


@pytest.mark.parametrize("how", ["unset", "missing", "of another"])
def test_without_a_home_the_error_says_what_to_set(how: str, home: Path) -> None:
    def start() -> None:
        os.environ.pop("XDG_STATE_HOME", None)
        os.environ.pop("HOME", None)
        if how != "unset":  # a user of no name has no other
            os.environ["HOME"] = str(home) if how == "of another" else "/nonexistent"
        os.chdir("/")
        with pytest.raises((ConfigurationError, StorageError), match="SEGOPS_QUEUE_PATH"):
            SegOpsClient(NOWHERE, "sk_test")

    as_user(OTHER, start)


LOOKS_AND_USES = (
    ["status"],
    ["doctor", "--repair", "--offline"],
    ["drain", "--timeout", "1"],
    ["track", "ann", "page_viewed"],
    ["export", "--remove", "/dev/null"],
)


def contents(directory: Path) -> dict[str, tuple[int, bytes]]:
    return {each.name: (each.stat().st_uid, each.read_bytes()) for each in directory.iterdir()}


@pytest.mark.parametrize("words", LOOKS_AND_USES, ids=lambda words: words[0])
@pytest.mark.parametrize("is_directory", [False, True], ids=["a file", "a directory"])
def test_root_does_not_follow_a_users_link_to_what_is_not_that_users_own(
    words: list[str],
    *,
    is_directory: bool,
    home: Path,
) -> None:
    with home_of(0) as place:
        track_at(place / "precious")
        before = contents(place)
        link = home / "link"
        link.symlink_to(place if is_directory else place / "precious")
        os.lchown(link, OWNER, OWNER)
        path = link / "precious" if is_directory else link
        result = command(*words, "--queue-path", path)
        assert result.exit_code == 1, result.output
        assert f"{link} is a symbolic link of user {OWNER}" in result.output
        assert contents(place) == before


def test_root_writes_no_export_and_no_rejects_where_a_users_link_leads(
    home: Path,
) -> None:
    track_at(home / "outbox.db")
    with home_of(0) as place:
        (place / "secret.jsonl").write_text("root:secret\n")
        before = contents(place)
        for name, target in (("out", place), ("in.jsonl", place / "secret.jsonl")):
            (home / name).symlink_to(target)
            os.lchown(home / name, OWNER, OWNER)
        (home / "bad.jsonl").write_text("no JSON\n")
        for words in (
            ["export", home / "out/events.jsonl"],
            ["dead", "export", home / "out/dead.jsonl"],
            ["import", home / "in.jsonl"],
            ["import", home / "bad.jsonl", "--rejects", home / "out/rejects.jsonl"],
        ):
            result = command(*words, "--queue-path", home / "outbox.db")
            assert "is a symbolic link of user" in result.stderr, words
            assert result.exit_code == 1, words
        assert contents(place) == before
        assert not (home / "in.jsonl.rejects.jsonl").exists()


def test_root_follows_a_users_link_to_that_users_own_outbox(home: Path) -> None:
    track_at(home / "outbox.db")
    (home / "link").symlink_to("outbox.db")
    os.lchown(home / "link", OWNER, OWNER)
    result = command("status", "--json", "--queue-path", home / "link")
    assert json.loads(result.stdout)["waiting"] == 1


@pytest.mark.parametrize("where", [None, "", "some/where", "/nonexistent", "/", "read-only"])
def test_no_command_fails_for_want_of_a_home_or_says_that_rights_were_given_up(
    where: str | None,
    home: Path,
) -> None:
    env = {"PATH": "", "SEGOPS_API_URL": NOWHERE, "SEGOPS_API_KEY": "sk_test"}
    if where is not None:
        env["HOME"] = str(home.parent) if where == "read-only" else where

    def run_as(user: int, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "segops_durable", *words],
            env=env,
            user=user,
            group=user,
            extra_groups=[],
            cwd="/",
            capture_output=True,
            text=True,
            check=False,
        )

    for words in (["track", "ann", "page_viewed"], ["config"]):
        result = run_as(OTHER, *words)
        assert "Traceback" not in result.stderr, words
        assert "given up" not in result.stderr, words
        if words[0] == "track":
            assert "SEGOPS_QUEUE_PATH" in result.stderr
            assert result.returncode
        result = run_as(OWNER, *words, "--queue-path", str(home / "outbox.db"))
        assert result.returncode == 0, (words, result.stderr)
    result = run_as(OWNER, "status", "--queue-path", "~nobody-of-that-name/outbox.db")
    assert result.returncode == 2, result.stderr
    assert "queue_path" in result.stderr
