"""One command brings back what was left under another address or key."""

from __future__ import annotations

import os
import pty
import sqlite3
import subprocess
import sys
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING

import pytest

from segops_durable import ConfigurationError, KeyKindError, SegOpsClient
from segops_durable.outbox import Cause, Letter, Settlement
from support.events import leave, numbered, numbers
from support.kiosk import Kiosk, event
from support.outboxes import events, spoil, take
from support.stranded import TYPO, strand, use

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from segops_durable.outbox import Outbox
    from segops_durable.sandbox import Sandbox
    from support.commands import Commands

pytestmark = pytest.mark.one_python


def spoil_schema(path: Path, old: str, new: str) -> None:
    """Change a column of the dead letters, as a flipped bit in a record's header seems to."""
    with closing(sqlite3.connect(path)) as file, file:
        file.execute("PRAGMA writable_schema = 1")
        file.execute(
            "UPDATE sqlite_master SET sql = replace(sql, ?, ?) WHERE name = 'dead_letters'",
            (old, new),
        )


def test_batches_in_flight_users_letters_and_jobs_are_adopted_as_they_are(
    make_client: Callable[..., SegOpsClient], sandbox: Sandbox, commands: Commands
) -> None:
    kiosk = Kiosk()
    kiosk.user = "ann"
    options = {"get_user": kiosk.get_user, "max_retries": 0, "queue_path": None}
    old = make_client("pk_old", **options)
    old.track(event("ann", 0))
    assert old.flush(timeout=60).ok
    sandbox.faults(status=422)
    old.track(event("ann", 1))
    assert old.flush(timeout=60).dead == 1
    sandbox.faults(status=503)
    old.track(event("ann", 2))
    old.flush(timeout=60)
    in_flight = sandbox.requests()[-1]["idempotency_key"]
    kiosk.user = None
    old.track_many([event(None, 3)], checkpoint=("job", {"line": 7}))
    visitor = old.anonymous_id
    leave(old)
    sandbox.faults()
    commands.env["SEGOPS_API_KEY"] = "pk_new"
    assert commands.json("adopt", str(old._outbox.path), "--yes")["dead"] == 1
    new = make_client("pk_new", **options, user_context_for=kiosk.user_context_for)
    assert new.checkpoint("job") == {"line": 7}
    assert new.anonymous_id == visitor
    assert [each.data for each in new.dead_letters() if b'"n":1' in each.data]
    assert new.flush(timeout=60).ok
    assert [(row["event"]["payload"]["n"], row["user_id"]) for row in sandbox.events()] == [
        (0, "ann"),
        (2, "ann"),
        (3, visitor),
    ]
    assert in_flight in [row["idempotency_key"] for row in sandbox.requests()[-4:]]
    assert sandbox.summary()["conflicting_keys"] == 0


def test_events_keep_the_kind_of_key_that_they_were_tracked_for(
    make_client: Callable[..., SegOpsClient], sandbox: Sandbox, commands: Commands
) -> None:
    strand(make_client, api_key="pk_test")
    assert "3 events were tracked under a pk_… key" in commands("adopt", "--yes").output
    assert [type(each) for each in use(make_client)] == [KeyKindError]
    assert sandbox.events() == []


def test_a_job_that_has_gone_on_here_keeps_its_place(
    make_client: Callable[..., SegOpsClient], commands: Commands
) -> None:
    old = make_client(api_url=TYPO, queue_path=None, max_retries=0)
    old.track_many(numbered(1), checkpoint=("job", 1))
    leave(old)
    new = make_client(queue_path=None)
    new.track_many(numbered(1, 1), checkpoint=("job", 2))
    commands("adopt", "--yes")
    assert new.checkpoint("job") == 2


def test_an_outbox_with_a_path_of_its_own_is_bound_anew_where_it_is(
    make_client: Callable[..., SegOpsClient], sandbox: Sandbox, commands: Commands, queue_path: Path
) -> None:
    strand(make_client, queue_path=queue_path)
    with pytest.raises(ConfigurationError, match="segops-durable adopt --queue-path") as caught:
        make_client()
    assert str(queue_path) in str(caught.value)
    commands("adopt", "--queue-path", str(queue_path), "--yes")
    assert make_client().flush(timeout=60).ok
    assert numbers(sandbox) == [0, 1, 2]


def test_without_a_terminal_nothing_is_moved_unless_yes_is_given(
    make_client: Callable[..., SegOpsClient], commands: Commands
) -> None:
    path = strand(make_client)
    assert "--yes" in commands("adopt", str(path), status=2).output
    assert commands.json("status", "--queue-path", str(path))["waiting"] == 3


@contextmanager
def terminal(*answers: str) -> Iterator[int]:
    """A terminal at which somebody answers; yields its descriptor."""
    ours, theirs = pty.openpty()
    try:
        for each in answers:
            os.write(ours, each.encode() + b"\n")
        yield theirs
    finally:
        os.close(ours)
        os.close(theirs)


@pytest.mark.parametrize(("answer", "status"), [("y", 0), ("n", 1)])
def test_at_a_terminal_it_asks(
    make_client: Callable[..., SegOpsClient], commands: Commands, answer: str, status: int
) -> None:
    path = strand(make_client)
    with terminal(answer) as stdin:
        result = subprocess.run(
            [sys.executable, "-m", "segops_durable", "adopt", str(path)],
            stdin=stdin,
            env={**os.environ, **commands.env},
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
    assert result.returncode == status, result.stderr
    assert f"{path} has 3 events and 0 dead letters, tracked for {TYPO}" in result.stderr
    left = commands.json("status", "--queue-path", str(path))["waiting"]
    assert left == (3 if status else 0)


def test_where_there_are_several_yes_alone_moves_none_of_them(
    make_client: Callable[..., SegOpsClient], commands: Commands
) -> None:
    paths = [strand(make_client, 1, api_key=key) for key in ("sk_one", "sk_two")]
    result = commands("adopt", "--yes", status=2)
    assert all(str(path) in result.output for path in paths)
    commands("adopt", *map(str, paths), "--yes")
    assert commands.json("status")["waiting"] == 2


def test_where_nothing_waits_elsewhere_adopt_says_so(commands: Commands) -> None:
    assert "Nothing waits elsewhere" in commands("adopt").output


def test_a_client_that_runs_sends_what_is_adopted_meanwhile(
    make_client: Callable[..., SegOpsClient], sandbox: Sandbox, commands: Commands
) -> None:
    strand(make_client)
    client = make_client(queue_path=None)
    client.track(*numbered(1, 3))
    assert client.flush(timeout=60).ok
    commands("adopt", "--yes")
    assert client.flush(timeout=60).ok
    assert sorted(numbers(sandbox)) == [0, 1, 2, 3]


def test_damaged_events_are_adopted_as_dead_letters(
    make_client: Callable[..., SegOpsClient], sandbox: Sandbox, commands: Commands
) -> None:
    path = strand(make_client)
    with closing(sqlite3.connect(path)) as file:
        file.execute("UPDATE queue_outbox SET data = replace(data, '1', '7') WHERE _id = 2")
        file.commit()
    commands("adopt", "--yes")
    use(make_client)
    assert numbers(sandbox) == [0, 2]
    assert commands.json("status")["dead"] == 1


@pytest.mark.parametrize("column", ["cause", "seal"])
def test_a_letter_that_lost_a_value_is_adopted_as_a_damaged_one(
    column: str, open_outbox: Callable[..., Outbox], tmp_path: Path
) -> None:
    source, target = open_outbox(tmp_path / "source.db"), open_outbox(tmp_path / "target.db")
    source.commit.append(events(2))
    source.batches.settle(Settlement(take(source), 0, Letter(Cause.REFUSED, "no")), None)
    source.close()
    spoil_schema(source.path, f"{column} TEXT NOT NULL", f"{column} TEXT")
    spoil_schema(source.path, f"{column} INTEGER NOT NULL", f"{column} INTEGER")
    spoil(source.path, f"UPDATE dead_letters SET {column} = NULL WHERE _id = 1")
    spoil_schema(source.path, f"{column} TEXT DEFAULT", f"{column} TEXT NOT NULL DEFAULT")
    spoil_schema(source.path, f"{column} INTEGER DEFAULT", f"{column} INTEGER NOT NULL DEFAULT")
    assert target.adopt(open_outbox(source.path)).dead == 2
    with closing(sqlite3.connect(target.path)) as file:
        causes = [cause for (cause,) in file.execute("SELECT cause FROM dead_letters ORDER BY _id")]
    assert causes == ["damaged" if column == "cause" else "refused", "refused"]
    letters = list(target.dead_letters)
    assert [letter.cause for letter in letters] == [Cause.DAMAGED, Cause.REFUSED]
    assert [letter.data for letter in letters] == events(2)
    assert ["not what was written" in letter.reason for letter in letters] == [True, False]


def test_an_export_for_another_domain_is_refused_with_the_way_to_load_it(
    make_client: Callable[..., SegOpsClient], commands: Commands, tmp_path: Path
) -> None:
    path = strand(make_client)
    file = str(tmp_path / "carried.jsonl")
    commands("export", file, "--queue-path", str(path))
    assert "--adopt" in commands("load", file, status=2).output
    assert commands.json("load", file, "--adopt") == {"loaded": 3, "known": 0}
    assert commands.json("load", file, "--adopt") == {"loaded": 0, "known": 3}
