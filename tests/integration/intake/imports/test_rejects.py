"""Bad records are kept with their places and reasons, each once."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from segops_durable import ConfigurationError, FieldMap, ImportStoppedError, SegOpsClient
from segops_durable.intake.imports.rejects import Rejects
from segops_durable.intake.sources import json_objects as reading
from support.formats import KilledError, queued

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from segops_durable.intake.imports import Progress

pytestmark = pytest.mark.one_python


@pytest.mark.parametrize("is_fast", [True, False])
def test_bad_lines_are_kept_with_their_numbers_and_reasons_and_the_others_are_stored(
    client: SegOpsClient,
    tmp_path: Path,
    queue_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    is_fast: bool,
) -> None:
    if not is_fast:  # as without orjson
        monkeypatch.setattr(reading, "_read_fast", None)
    path, rejects = tmp_path / "a.jsonl", tmp_path / "rejects.jsonl"
    good = {"user_id": "u", "event_type": "sold"}
    lines = [
        json.dumps(good),
        "not JSON",
        '"a text"',
        "",
        json.dumps({"event_type": "sold"}),
        json.dumps({**good, "occurred_at": "yesterday"}),
        json.dumps({**good, "user_id": 17}),
        '{"user_id": "u", "event_type": "sold", "x": NaN}',
        '{"user_id": "u", "event_type": "sold", "x": "\\ud800"}',
        json.dumps({**good, "payload": 5}),
        json.dumps({**good, "payload": {"x": 1}, "y": 2}),
        json.dumps({**good, "long": 123456789012345678901234567890}),
        json.dumps({**good, "x": "y" * 300_000}),
        json.dumps({**good, "user_id": True}),
        json.dumps(good),
    ]
    path.write_text("\n".join(lines))
    result = client.import_events(path, rejects=rejects)
    assert (result.stored, result.rejected) == (5, 9)
    bad = [json.loads(line) for line in rejects.read_text().splitlines()]
    assert [each["line"] for each in bad] == [2, 3, 5, 6, 8, 9, 10, 13, 14]
    reasons = [each["reason"] for each in bad]
    assert "a JSON object is expected, got str" in reasons[1]
    assert reasons[2].startswith("user_id: is required, in the column 'user_id'")
    assert "occurred_at: must be ISO 8601" in reasons[3]
    assert "payload: must be an object" in reasons[6]
    assert "must have at most 262144 bytes" in reasons[7]
    assert bad[0] == {
        "file": str(path),
        "line": 2,
        "last_line": 2,
        "reason": reasons[0],
        "record": "not JSON\n",
        "import": bad[1]["import"],
        "mapping": FieldMap().fingerprint(),
        "format": "jsonl",
        "written": bad[0]["written"],
    }
    payloads = [event["payload"] for event in queued(queue_path)]
    big = {"long": 123456789012345678901234567890}
    assert payloads == [{}, {}, {"y": 2, "x": 1}, big, {}]
    assert queued(queue_path)[1]["user_id"] == "17"


def test_bad_rows_of_csv_are_told_of_by_their_lines(
    client: SegOpsClient, tmp_path: Path, queue_path: Path
) -> None:
    path, rejects = tmp_path / "a.csv", tmp_path / "rejects.jsonl"
    path.write_bytes(
        b"\xef\xbb\xbfuser_id,event_type,x\n"
        b'ann,sold,"two\nlines"\n'
        b"bob,sold\n"
        b"\n"
        b",sold,1\n"
        b"carl,sold,\xff\n"
        b'dora,"so"ld,1\n'
        b"eve,sold,007\n"
    )
    result = client.import_events(path, rejects=rejects)
    assert [event["user_id"] for event in queued(queue_path)] == ["ann", "eve"]
    assert queued(queue_path)[1]["payload"] == {"x": "007"}
    bad = [json.loads(line) for line in rejects.read_text().splitlines()]
    assert [each["line"] for each in bad] == [4, 6, 7, 8]
    assert result.rejected == 4
    assert "2 columns, where the header has 3" in bad[0]["reason"]
    assert "byte 11 of the line, 0xff, is no UTF-8" in bad[2]["reason"]
    assert "no CSV" in bad[3]["reason"]


def test_too_many_bad_lines_stop_it_and_it_goes_on_when_they_are_mended(
    client: SegOpsClient, tmp_path: Path, queue_path: Path
) -> None:
    path, rejects = tmp_path / "a.jsonl", tmp_path / "rejects.jsonl"
    good = json.dumps({"user_id": "u", "event_type": "sold"})
    path.write_text(f"{good}\nbad\nbad\n{good}\nbad\n{good}\n")
    with pytest.raises(ImportStoppedError, match=r"line 5: .* 3 lines were rejected") as stopped:
        client.import_events(path, rejects=rejects, max_errors=2)
    assert (stopped.value.file, stopped.value.line) == (str(path), 5)
    assert queued(queue_path) == []
    assert client.import_events(path, rejects=rejects, max_errors=3).stored == 3
    assert len(rejects.read_text().splitlines()) == 3


def test_the_rejects_are_there_once_though_the_import_was_ended(
    client: SegOpsClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, rejects = tmp_path / "a.jsonl", tmp_path / "rejects.jsonl"
    good = json.dumps({"user_id": "u", "event_type": "sold"})
    path.write_text("".join(f"{good}\nbad {number}\n" for number in range(20_000)))

    def end(progress: Progress) -> None:
        if progress.rejected:
            raise KilledError

    rejects.write_text('{"line": 0, "of": "another import"}\n')
    with monkeypatch.context() as patched:
        patched.setattr(Rejects, "append", die_after(Rejects.append))  # in the first transaction
        with pytest.raises(KilledError):
            client.import_events(path, rejects=rejects)
    for _ in range(3):
        with pytest.raises(KilledError):
            client.import_events(path, rejects=rejects, on_progress=end)
        with rejects.open("a") as file:
            file.write("what a killed transaction had written\n")
    client.import_events(path, rejects=rejects)
    bad = [json.loads(line) for line in rejects.read_text().splitlines()]
    assert [each["line"] for each in bad] == list(range(0, 40_001, 2))


def die_after(append: Callable[..., None]) -> Callable[..., None]:
    def append_and_die(*args: Any) -> None:
        append(*args)
        raise KilledError

    return append_and_die


def test_another_file_of_rejects_is_never_cut(client: SegOpsClient, tmp_path: Path) -> None:
    path, first, second = (tmp_path / name for name in ("a.jsonl", "1.jsonl", "2.jsonl"))
    path.write_text("bad\n")
    client.import_events(path, rejects=first)
    second.write_text("precious " * 100)
    with path.open("a") as file:
        file.write("worse\n")
    client.import_events(path, rejects=second)
    assert second.read_text().startswith("precious " * 100)
    assert len(first.read_text().splitlines()) == 1


def test_a_line_that_is_nested_too_deep_is_rejected_and_the_others_are_stored(
    client: SegOpsClient, tmp_path: Path
) -> None:
    path = tmp_path / "a.jsonl"
    good = '{"user_id": "u", "event_type": "t"}'
    deep = [
        good[:-1] + ', "d": ' + "[" * depth + number + "]" * depth + "}"
        for depth, number in ((300, "1"), (3000, "1234567890123456789012"))
    ]
    path.write_text("\n".join([good, *deep, good, ""]))
    result = client.import_events(path)
    assert result.stored + result.rejected == 4
    assert result.rejected >= 1  # how deep is too deep differs between Pythons


def test_two_files_may_share_a_file_of_rejects(client: SegOpsClient, tmp_path: Path) -> None:
    rejects = tmp_path / "rejects.jsonl"
    paths = [tmp_path / "a.jsonl", tmp_path / "b.jsonl"]
    for path in paths:
        path.write_text(f"bad {path.name}\n")
    for _ in range(2):
        for path in paths:
            client.import_events(path, rejects=rejects)
    found = [json.loads(line)["file"] for line in rejects.read_text().splitlines()]
    assert found == [str(path) for path in paths]


def test_a_header_that_is_no_csv_is_told_of(client: SegOpsClient, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text('user_id,"a"b\n1,2\n')
    with pytest.raises(ConfigurationError, match="line 1: is the header"):
        client.import_events(tmp_path / "a.csv")
