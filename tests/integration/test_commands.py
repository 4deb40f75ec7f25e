"""Every command, as a technician or a script would use it."""

from __future__ import annotations

import gzip
import json
import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner, Result

from segops_durable import SegOpsClient
from segops_durable.cli import run
from segops_durable.outbox import Outbox, Take
from support.events import numbered, numbers

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from segops_durable.sandbox import Sandbox

NOWHERE = "http://127.0.0.1:9"


class Commands:
    """Runs commands on a machine of their own, and looks at what they say."""

    def __init__(self, home: Path, url: str) -> None:
        self.home = home
        self.queue_path = home / "outbox.db"
        self.env = {
            **{name: "" for name in os.environ if name.startswith("SEGOPS_")},
            "SEGOPS_CONFIG": "",
            "SEGOPS_API_URL": url,
            "SEGOPS_API_KEY": "sk_test",
            "SEGOPS_QUEUE_PATH": str(self.queue_path),
            "XDG_CONFIG_HOME": str(home / "config"),
            "XDG_STATE_HOME": str(home / "state"),
            "COLUMNS": "200",
        }

    def __call__(self, *words: str, status: int = 0, text: str | None = None) -> Result:
        result = CliRunner().invoke(run, list(words), env=self.env, input=text)
        assert result.exit_code == status, (result.output, result.exception)
        return result

    def json(self, *words: str, status: int = 0) -> Any:
        """What a command prints with --json."""
        return json.loads(self(*words, "--json", status=status).stdout)

    def waiting(self) -> int:
        found: int = self.json("status")["waiting"]
        return found


@pytest.fixture
def commands(tmp_path: Path, sandbox: Sandbox) -> Commands:
    return Commands(tmp_path, sandbox.url)


def test_an_event_of_a_script_is_on_disk_when_the_command_returns(
    commands: Commands, sandbox: Sandbox
) -> None:
    sandbox.stop()
    commands("track", "ann", "door_opened", "door=north", "n=3", "open=true", "x=NaN")
    commands("track", "ann", "page_viewed", "--payload", '{"a": [1]}', "b=2")
    commands("identify", "ann", "plan=pro", "--traits", '{"seats": 3}')
    events = [json.loads(line)["event"] for line in commands("peek", "--json").stdout.splitlines()]
    assert [event["event_type"] for event in events] == [
        "door_opened",
        "page_viewed",
        "context_identified",
    ]
    assert [event["payload"] for event in events] == [
        {"door": "north", "n": 3, "open": True, "x": "NaN"},
        {"a": [1], "b": 2},
        {"seats": 3, "plan": "pro"},
    ]
    assert "door_opened" in commands("peek", "--limit", "1").stdout
    commands("track", "ann", "x", "--flush", "--timeout", "1", status=1)
    sandbox.start()
    commands("track", "ann", "x", "--flush")
    assert len(sandbox.events()) == 5


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


def test_the_only_outbox_of_a_machine_is_found_without_a_key(
    commands: Commands, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("segops_durable.options.default_directory", lambda: commands.home / "d")
    monkeypatch.setattr(
        "segops_durable.cli.configuration.default_directory", lambda: commands.home / "d"
    )
    commands.env["SEGOPS_QUEUE_PATH"] = ""
    commands("track", "ann", "x")
    commands.env["SEGOPS_API_KEY"] = ""
    assert commands.waiting() == 1
    commands.env["SEGOPS_API_KEY"] = "sk_other"
    commands("track", "ann", "x")
    commands.env["SEGOPS_API_KEY"] = ""
    assert "there are several" in commands("status", status=2).output


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
    text = commands("config").output
    assert "secret_of_the_file" not in text
    assert "it is not there yet" in text
    file.write_text("batch_sise = 7")
    assert "got 'batch_sise'" in commands("config", status=2).output
    file.write_text("batch_size =")
    assert "is no TOML" in commands("config", status=2).output


def test_status_is_a_health_check(commands: Commands, sandbox: Sandbox) -> None:
    sandbox.stop()
    for _ in range(3):
        commands("track", "ann", "x")
    assert "3" in commands("status").stdout
    commands("status", "--max-waiting", "3", "--max-age", "3600")
    output = commands("status", "--max-waiting", "2", "--max-age", "0", status=1).output
    assert "3 events wait, 2 allowed" in output
    assert "The oldest event has waited" in output
    found = commands.json("status")
    assert (found["waiting"], found["dead"], found["sender"]) == (3, 0, None)


def test_status_says_who_sends_and_how_it_goes(
    commands: Commands,
    sandbox: Sandbox,
    make_client: Callable[..., SegOpsClient],
    wait_until: Callable[[Callable[[], object]], None],
) -> None:
    sandbox.configure(revoked_keys=["sk_test"])
    client = make_client(queue_path=commands.queue_path)
    client.track(numbered(1)[0])
    client.flush(timeout=10)
    wait_until(lambda: commands.json("status")["sender"].get("last_error"))
    sender = commands.json("status")["sender"]
    assert (sender["pid"], sender["state"]) == (os.getpid(), "unauthorised")
    assert "revoked" in sender["last_error"]
    assert "revoked" in commands("status").stdout
    client.shutdown(0)
    assert commands.json("status")["sender"] is None


def test_prometheus_can_read_what_status_writes(commands: Commands, sandbox: Sandbox) -> None:
    sandbox.stop()
    commands("track", "ann", "x")
    text = commands("status", "--format", "prometheus").stdout
    samples = {}
    helped, typed = set(), {}
    for line in text.splitlines():
        if line.startswith("# HELP "):
            helped.add(line.split()[2])
        elif line.startswith("# TYPE "):
            typed[line.split()[2]] = line.split()[3]
        else:
            name, _, value = line.rpartition(" ")
            samples[name] = float(value)
    assert helped == set(typed) == {name.partition("{")[0] for name in samples}
    for name, kind in typed.items():
        assert (kind == "counter") == name.endswith("_total"), name
    label = f'{{outbox="{commands.queue_path}"}}'
    assert samples[f"segops_outbox_waiting_events{label}"] == 1
    assert samples[f'segops_outbox_sender_state{label[:-1]},state="closed"}}'] == 1
    assert sum(value for name, value in samples.items() if "_state{" in name) == 1


def test_drain_sends_all_and_says_what_is_left(commands: Commands, sandbox: Sandbox) -> None:
    sandbox.stop()
    with closing_client(commands) as client:
        client.track_many(numbered(1200))
    result = commands.json("drain", "--timeout", "1", status=1)
    assert (result["sent"], result["waiting"]) == (0, 1200)
    sandbox.start()
    result = commands.json("drain")
    assert (result["sent"], result["waiting"], result["dead"]) == (1200, 0, 0)
    assert sorted(numbers(sandbox)) == list(range(1200))
    assert len(sandbox.requests()) == 3
    assert "0 sent" in commands("drain").output


def test_drain_stops_when_a_round_has_sent_nothing(commands: Commands, sandbox: Sandbox) -> None:
    commands("track", "ann", "x")
    sandbox.configure(revoked_keys=["sk_test"])
    output = commands("drain", status=1).output
    assert "0 sent" in output
    assert "revoked" in output
    sandbox.configure()
    sandbox.faults(status=400)
    assert "dead list" in commands("drain", status=1).output


def test_drain_works_beside_a_client_that_sends(
    commands: Commands, sandbox: Sandbox, make_client: Callable[..., SegOpsClient]
) -> None:
    client = make_client(queue_path=commands.queue_path, flush_interval=0.2)
    client.flush(timeout=10)  # it is the sender now
    sandbox.faults(delay=0.1)
    client.track_many(numbered(100))
    result = commands.json("drain", "--timeout", "20")
    assert result["waiting"] == 0
    assert sorted(numbers(sandbox)) == list(range(100))


def closing_client(commands: Commands) -> SegOpsClient:
    return SegOpsClient(
        commands.env["SEGOPS_API_URL"],
        "sk_test",
        queue_path=commands.queue_path,
        shutdown_timeout=0,
        on_error=lambda _error: None,
    )


def fill(device: Commands, sandbox: Sandbox, count: int, first: int = 0) -> None:
    """Track events on a device that is offline, and never comes online."""
    sandbox.stop()
    with closing_client(device) as client:
        client.track_many(numbered(count, first=first))
    sandbox.start()


def test_dead_letters_are_listed_shown_exported_put_back_and_discarded(
    commands: Commands, sandbox: Sandbox
) -> None:
    sandbox.faults(status=400, json={"payload": ["Too sad."]})
    for number in range(3):
        commands("track", "ann", "x", f"n={number}")
    commands("drain", status=1)
    assert "Too sad." in commands("dead", "list").stdout
    listed = [json.loads(line) for line in commands("dead", "list", "--json").stdout.splitlines()]
    assert [letter["event"]["payload"]["n"] for letter in listed] == [0, 1, 2]
    shown = json.loads(commands("dead", "show", "2").stdout)
    assert (shown["cause"], shown["status"], shown["id"]) == ("refused", 400, 2)
    assert "there is no dead letter 9" in commands("dead", "show", "9", status=1).output
    file = commands.home / "dead.jsonl"
    commands("dead", "export", str(file))
    assert [json.loads(line) for line in file.read_text().splitlines()] == listed
    commands("dead", "discard", "1", text="n\n", status=1)
    assert commands.json("status")["dead"] == 3
    commands("dead", "discard", "1", text="y\n")
    commands("dead", "discard", "2", "77", "--yes")
    sandbox.faults()
    assert "1 put back" in commands("dead", "retry").stdout
    commands("drain")
    assert [row["event"]["payload"]["n"] for row in sandbox.events()] == [2]
    commands("dead", "discard", "--all", "--yes")
    assert "There are no dead letters" in commands("dead", "list").output


@pytest.mark.parametrize("name", ["kiosk.jsonl", "kiosk.jsonl.gz"])
def test_a_queue_that_is_carried_by_hand_is_delivered_once_though_it_is_loaded_twice(
    commands: Commands, sandbox: Sandbox, name: str
) -> None:
    device = Commands(commands.home / "device", commands.env["SEGOPS_API_URL"])
    device.home.mkdir()
    fill(device, sandbox, 1300)
    file = device.home / name
    assert "which still wait here" in device("export", str(file)).output
    assert device.waiting() == 1300
    assert "1300 removed here" in device("export", str(file), "--remove").output
    assert device.waiting() == 0
    assert commands.json("load", str(file)) == {"loaded": 1300, "known": 0}
    assert commands.json("load", str(file)) == {"loaded": 0, "known": 1300}
    commands("drain")
    assert commands.json("load", str(file)) == {"loaded": 0, "known": 1300}
    assert sorted(numbers(sandbox)) == list(range(1300))
    assert "from this very outbox" in device("load", str(file), status=2).output


def test_events_for_another_segops_are_not_loaded(commands: Commands) -> None:
    device = Commands(commands.home / "device", NOWHERE)
    device.home.mkdir()
    device("track", "ann", "x")
    file = device.home / "kiosk.jsonl"
    device("export", str(file))
    output = commands("load", str(file), status=2).output
    assert f"the file has events for {NOWHERE}, this outbox is for" in output
    assert commands.waiting() == 0


def test_what_is_damaged_or_came_later_is_not_removed_by_an_export(commands: Commands) -> None:
    commands.env["SEGOPS_API_URL"] = NOWHERE
    with closing_client(commands) as client:
        client.track_many(numbered(3))
    with closing(sqlite3.connect(commands.queue_path)) as file:
        file.execute("UPDATE queue_outbox SET data = x'7b7d' WHERE _id = 2")
        file.commit()
    outbox = Outbox(commands.queue_path, api_url=NOWHERE, key_fingerprint="k")
    assert outbox.try_become_sender()
    lines = []
    for line in outbox.exported(3):
        lines.append(line)
        outbox.append([b'{"n":"later"}'])
    assert len(lines) == 2
    assert outbox.remove_exported(3) == 2
    assert outbox.counts().pending == 3  # the damaged one, and the later ones
    outbox.resign_as_sender()
    outbox.close()


def test_two_exports_of_one_device_that_overlap_are_delivered_once_in_either_order(
    commands: Commands, sandbox: Sandbox
) -> None:
    device = Commands(commands.home / "device", commands.env["SEGOPS_API_URL"])
    device.home.mkdir()
    first, second = device.home / "1.jsonl", device.home / "2.jsonl"
    for file, start in ((first, 0), (second, 600)):
        fill(device, sandbox, 600, first=start)
        device("export", str(file))
    third = device.home / "3.jsonl"
    device("export", str(third), "--remove")
    fill(device, sandbox, 100, first=1200)
    device("export", str(device.home / "4.jsonl"))
    for file in (device.home / "4.jsonl", first, second, third, second):
        commands("load", str(file))
    commands("drain")
    assert sorted(numbers(sandbox)) == list(range(1300))


def test_a_load_that_is_cut_off_goes_on_and_a_strange_file_is_refused(
    commands: Commands, sandbox: Sandbox
) -> None:
    device = Commands(commands.home / "device", commands.env["SEGOPS_API_URL"])
    device.home.mkdir()
    fill(device, sandbox, 1300)
    file = device.home / "kiosk.jsonl.gz"
    device("export", str(file))
    lines = gzip.decompress(file.read_bytes()).splitlines(keepends=True)
    half = device.home / "half.jsonl"
    half.write_bytes(b"".join(lines[:700]) + lines[700][:50])
    assert "line that `export` did not write" in commands("load", str(half), status=2).output
    assert commands.waiting() == 500  # a whole transaction
    commands("load", str(file))
    commands("drain")
    assert sorted(numbers(sandbox)) == list(range(1300))
    for text in ("not JSON", "{}", '{"source": "x", "id": "1", "identity": ""}'):
        half.write_text(text)
        assert "To bring in other files, use import" in commands("load", str(half), status=2).output


def test_export_with_remove_leaves_events_to_a_client_that_sends_them(
    commands: Commands, make_client: Callable[..., SegOpsClient], sandbox: Sandbox
) -> None:
    client = make_client(queue_path=commands.queue_path)
    client.flush(timeout=10)
    sandbox.stop()
    client.track_many(numbered(3))
    output = commands("export", str(commands.home / "x.jsonl"), "--remove", status=1).output
    assert "Stop it, and export again" in output
    assert commands.waiting() == 3


def test_import_shows_its_summary_and_where_bad_lines_are(
    commands: Commands, sandbox: Sandbox
) -> None:
    file = commands.home / "sales.csv"
    file.write_text("email,amount\nann,1\nbob,2\nbroken\n")
    words = ("import", str(file), "--map", "user_id=email", "--const", "event_type=sold")
    output = commands(*words, status=1).output
    assert "2 stored, 1 rejected" in output
    assert f"{file}.rejects.jsonl" in output
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
    assert "4 were refused" in output


def test_a_file_to_load_that_is_cut_off_is_named(commands: Commands, sandbox: Sandbox) -> None:
    device = Commands(commands.home / "device", commands.env["SEGOPS_API_URL"])
    device.home.mkdir()
    fill(device, sandbox, 900)
    file = device.home / "kiosk.jsonl.gz"
    device("export", str(file))
    file.write_bytes(file.read_bytes()[:-100])
    assert "is cut off" in commands("load", str(file), status=1).output


def test_an_export_names_whom_events_of_whoever_are_sent_as(commands: Commands) -> None:
    outbox = Outbox(commands.queue_path, api_url=NOWHERE, key_fingerprint="k")
    outbox.append([b'{"n":1}', b'{"n":2}'], "whoever")
    batch = outbox.take(Take(1, "whoever")).batch
    assert batch is not None
    outbox.assign(batch, "user:ann")
    found = [json.loads(line)["identity"] for line in outbox.exported(2)]
    outbox.close()
    assert found == ["user:ann", "whoever"]


def test_a_full_queue_is_told_of_by_the_command_that_meets_it(
    commands: Commands, sandbox: Sandbox
) -> None:
    sandbox.stop()
    commands.env["SEGOPS_MAX_QUEUE_EVENTS"] = "1"
    commands("track", "ann", "x")
    output = commands("track", "ann", "x", status=1).output
    assert "is full: it holds 1 events" in output
    assert "once SegOps can be reached" in output
    assert commands.waiting() == 1


@pytest.mark.parametrize(
    "words",
    [
        ("status",),
        ("peek",),
        ("drain",),
        ("dead", "list"),
        ("dead", "retry"),
        ("export", "x.jsonl"),
        ("track", "ann", "x"),
        ("doctor", "--repair"),
    ],
)
def test_a_damaged_file_is_told_of_and_does_not_stop_a_command(
    commands: Commands, words: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(commands.home)
    commands("track", "ann", "x")
    with closing(sqlite3.connect(commands.queue_path)) as file:
        file.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    data = bytearray(commands.queue_path.read_bytes())
    data[:100] = b"\xaa" * 100
    commands.queue_path.write_bytes(data)
    output = commands(*words).output
    assert "was damaged" in output
    assert "check the disk" in output


def test_the_doctor_finds_nothing_wrong_where_nothing_is(commands: Commands) -> None:
    commands("track", "ann", "x")
    found = [json.loads(line) for line in commands("doctor", "--json").stdout.splitlines()]
    assert {each["grade"] for each in found} <= {"ok", "note"}
    checks = {each["check"]: each for each in found}
    assert {"clock", "permissions", "file system", "free space", "damage", "server"} <= set(checks)
    assert checks["damage"]["text"] == "none in 1 waiting events"
    assert "drain" in checks["sender"]["mend"]


def test_the_doctor_names_what_is_wrong_and_the_mend(commands: Commands, sandbox: Sandbox) -> None:
    commands("track", "ann", "x")
    sandbox.configure(revoked_keys=["sk_test"])
    assert "failed  key: HTTP 401" in commands("doctor", status=1).output
    sandbox.faults(status=404)
    assert "Mend api_url" in commands("doctor", status=1).output
    sandbox.faults(portal=True)
    assert "captive portal" in commands("doctor", status=1).output
    sandbox.faults(status=503)
    assert "in trouble: HTTP 503" in commands("doctor").output
    sandbox.faults()
    sandbox.configure(clock_offset=7200)
    assert "2.0 h off the server's" in commands("doctor").output
    sandbox.stop()
    assert "Check the network" in commands("doctor", status=1).output
    commands("doctor", "--offline")
    commands.queue_path.chmod(0o644)
    assert "others may read it: mode 644" in commands("doctor", "--offline").output
    commands.env["SEGOPS_API_KEY"] = "mk_wrong"
    assert "management key" in commands("doctor", "--offline", status=1).output


def test_the_doctor_with_a_public_key_opens_a_session_and_no_more(
    commands: Commands, sandbox: Sandbox
) -> None:
    commands.env["SEGOPS_API_KEY"] = "pk_test"
    commands("doctor")
    assert [row["path"] for row in sandbox.requests()] == ["/api/auth/session/"]


def test_the_doctor_changes_nothing_until_it_is_told_to_repair(
    commands: Commands, sandbox: Sandbox
) -> None:
    sandbox.stop()
    with closing_client(commands) as client:
        client.track_many(numbered(2000))
    with closing(sqlite3.connect(commands.queue_path)) as file:
        file.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        (page,) = file.execute("SELECT rootpage FROM sqlite_master WHERE name = 'tally'").fetchone()
    data = bytearray(commands.queue_path.read_bytes())
    data[(page - 1) * 4096 : page * 4096] = b"\xaa" * 4096
    commands.queue_path.write_bytes(data)
    output = commands("doctor", "--offline", status=1).output
    assert "doctor --repair" in output
    assert commands.queue_path.read_bytes() == data
    output = commands("doctor", "--offline", "--repair").output
    assert "damaged files: outbox.db.damaged-" in output
    assert commands.waiting() == 2000
    sandbox.start()
    commands("drain")
    assert sorted(numbers(sandbox)) == list(range(2000))


def test_the_doctor_repairs_what_opening_does_not_notice(commands: Commands) -> None:
    with closing_client(Commands(commands.home, NOWHERE)) as client:
        client.track_many(numbered(3000))
    commands.env["SEGOPS_API_URL"] = NOWHERE
    with closing(sqlite3.connect(commands.queue_path)) as file:
        file.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    data = bytearray(commands.queue_path.read_bytes())
    start = data.index(b'{"n":1500}') // 4096 * 4096
    data[start : start + 4096] = b"\xaa" * 4096  # a page in the middle
    commands.queue_path.write_bytes(data)
    assert commands.waiting() == 3000
    commands("doctor", "--offline", status=1)
    commands("doctor", "--offline", "--repair")
    assert 2900 < commands.waiting() < 3000
    assert commands.json("status")["lost_total"] == 3000 - commands.waiting()


def test_an_altered_event_is_told_of_by_the_doctor(commands: Commands) -> None:
    commands.env["SEGOPS_API_URL"] = NOWHERE
    with closing_client(commands) as client:
        client.track_many(numbered(3))
    with closing(sqlite3.connect(commands.queue_path)) as file:
        file.execute("UPDATE queue_outbox SET data = x'7b7d' WHERE _id = 2")
        file.commit()
    assert "1 of 3 waiting events do not match" in commands("doctor", "--offline").output


def test_a_look_at_the_outbox_leaves_the_rotation_of_keys_to_clients(commands: Commands) -> None:
    commands("track", "ann", "x")
    before = Outbox(
        commands.queue_path, api_url=commands.env["SEGOPS_API_URL"], key_fingerprint="another"
    )
    before.close()
    commands("status")
    with closing(sqlite3.connect(commands.queue_path)) as file:
        (found,) = file.execute("SELECT value FROM meta WHERE name = 'key'").fetchone()
    assert found == "another"


def test_watch_shows_the_status_again_and_again(commands: Commands) -> None:
    commands("track", "ann", "x")
    command = [sys.executable, "-m", "segops_durable", "status", "--watch"]
    with subprocess.Popen(
        command, env={**os.environ, **commands.env}, stdout=subprocess.PIPE, text=True
    ) as watching:
        assert watching.stdout is not None
        shown = [line for line, _ in zip(watching.stdout, range(15), strict=False)]
        watching.kill()
    assert len([line for line in shown if line.startswith("waiting")]) == 2
