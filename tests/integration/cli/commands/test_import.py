"""Import, as a technician or a script would use it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from support.commands import Commands
from support.events import numbers

if TYPE_CHECKING:
    from segops_durable.sandbox import Sandbox

pytestmark = pytest.mark.one_python


def test_import_shows_its_summary_and_where_bad_lines_are(
    commands: Commands, sandbox: Sandbox
) -> None:
    file = commands.home / "sales.csv"
    file.write_text("email,amount\nann,1\nbob,2\nbroken\n")
    words = ("import", str(file), "--map", "user_id=email", "--const", "event_type=sold")
    output = commands(*words, status=1).output
    assert "2 stored, 1 rejected" in output
    assert f"{file}.rejects.jsonl" in output
    again = commands(*words, status=1).output  # until it is mended, or the file of it removed
    assert "2 had been stored before; 1 had been rejected before" in again
    (commands.home / "sales.csv.rejects.jsonl").unlink()
    assert "2 had been stored before" in commands(*words).output
    commands("drain")
    assert [row["event"]["payload"] for row in sandbox.events()] == [{"amount": 1}, {"amount": 2}]


def test_import_reads_standard_input_and_goes_on_by_the_name_of_a_job(commands: Commands) -> None:
    line = '{"user_id": "u", "event_type": "sold"}\n'
    commands("import", "-", "--job", "j", text=line * 3)
    commands("import", "-", "--job", "j", text=line * 5)
    assert commands.waiting() == 5


def test_import_with_send_needs_no_room_for_all_of_it(commands: Commands, sandbox: Sandbox) -> None:
    file = commands.home / "many.jsonl"
    lines = [json.dumps({"user_id": "u", "event_type": "sold", "n": n}) for n in range(6000)]
    file.write_text("\n".join(lines))
    commands.env["SEGOPS_MAX_QUEUE_EVENTS"] = "1000"
    assert "the outbox" in commands("import", str(file), status=1).output  # it is full
    assert commands.waiting() == 1000
    commands("import", str(file), "--send")
    assert sorted(numbers(sandbox)) == list(range(6000))
    assert commands.waiting() == 0


@pytest.mark.long
def test_import_with_send_ends_though_nobody_answers_and_goes_on_later(
    commands: Commands, sandbox: Sandbox
) -> None:
    file = commands.home / "many.jsonl"
    lines = [json.dumps({"user_id": "u", "event_type": "sold", "n": n}) for n in range(1500)]
    file.write_text("\n".join(lines))
    sandbox.stop()
    commands("import", str(file), "--send", status=1)
    assert commands.waiting() == 1500
    other = Commands(commands.home / "other", commands.env["SEGOPS_API_URL"])
    other.home.mkdir()
    other.env.update(SEGOPS_MAX_QUEUE_EVENTS="1000", SEGOPS_OVERFLOW_TIMEOUT="0.1")
    assert "is full" in other("import", str(file), "--send", status=1).output
    sandbox.start()
    other.env["SEGOPS_OVERFLOW_TIMEOUT"] = "30"
    other("import", str(file), "--send")
    assert sorted(numbers(sandbox)) == list(range(1500))


def test_import_with_send_fails_if_segops_refuses_events(
    commands: Commands, sandbox: Sandbox
) -> None:
    file = commands.home / "few.jsonl"
    file.write_text('{"user_id": "u", "event_type": "t"}\n' * 4)
    sandbox.faults(status=422)
    output = commands("import", str(file), "--send", status=1).output
    assert "0 sent, 4 refused, 0 wait" in output


def test_a_dry_run_of_import_shows_what_would_come_and_leaves_nothing_behind(
    commands: Commands,
) -> None:
    file = commands.home / "sales.csv"
    file.write_text("email,at,n\n" + "ann,2026-01-31T12:00:00Z,1\n" * 600 + "bob,soon,2\n")
    mapping = ("--map", "user_id=email", "--map", "occurred_at=at", "--const", "event_type=sold")
    words = ("import", str(file), *mapping)
    before = sorted(commands.home.rglob("*"))
    output = commands(*words, "--dry-run", "--plan", "free", status=1).output
    assert "user_id <- email, event_type = 'sold', occurred_at <- at; payload: n (number)" in output
    assert "600 would be stored, 1 rejected" in output
    assert "line 602: occurred_at: must be ISO 8601" in output
    assert "600 events would be sent in 2 requests of 500" in output
    assert "plan free: 1 min, at 60 a minute" in output
    assert sorted(commands.home.rglob("*")) == before
    commands(*words, status=1)
    again = json.loads(commands(*words, "--dry-run", "--json", status=0).stdout)
    assert (again["files"][0]["stored"], again["files"][0]["stored_before"]) == (0, 600)
    assert set(again["minutes"]) == {"free", "starter", "business"}


def test_import_stores_nothing_of_any_file_if_one_of_them_is_refused(commands: Commands) -> None:
    good, bad = commands.home / "a.csv", commands.home / "b.csv"
    good.write_text("user_id,event_type\nann,sold\n")
    bad.write_text("email,event_type\nann,sold\n")
    assert "no column for user_id" in commands("import", str(good), str(bad), status=2).output
    assert "1 stored, 0 rejected" in commands("import", str(good)).output


def test_import_refuses_what_was_edited_or_is_read_otherwise_and_begins_anew_with_restart(
    commands: Commands,
) -> None:
    file = commands.home / "a.csv"
    file.write_text("user_id,event_type,n\nann,sold,1\nbob,sold,2\n")
    commands("import", str(file))
    assert "--restart" in commands("import", str(file), "--text", status=2).output
    assert "0 stored, 0 rejected; 2 had" in commands("import", str(file)).output
    file.write_text("user_id,event_type,n\nann,sold,1\nbob,sold,3\n")
    assert "has changed since line 3" in commands("import", str(file), status=2).output
    output = commands("import", str(file), "--restart").output
    assert "begins anew, though 2 events of it are stored" in output
    assert "2 stored, 0 rejected" in output


def test_import_takes_a_mended_file_of_rejects_beside_its_file(commands: Commands) -> None:
    file = commands.home / "a.csv"
    file.write_text("user_id,event_type,occurred_at\nann,sold,soon\nbob,sold,\n")
    rejects = commands.home / "a.csv.rejects.jsonl"
    commands("import", str(file), status=1)
    assert "got 'soon'" in commands("import", "--rejected", str(rejects), status=1).output
    rejects.write_text(rejects.read_text().replace("ann,sold,soon", "ann,sold,"))
    both = ("import", str(file), "--rejected", str(rejects))
    assert "1 stored, 0 rejected; 1 had been stored before" in commands(*both).output
    assert "0 stored, 0 rejected; 2 had been stored before" in commands(*both).output
    for wrong in (("--dry-run", "--rejected", str(rejects)), ("--plan", "free"), ()):
        commands("import", *wrong, status=2)
