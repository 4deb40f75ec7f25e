"""What was rejected is mended in its file and imported from there, each record once."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from segops_durable import ConfigurationError, FieldMap, ImportResult, SegOpsClient
from segops_durable.intake.imports import mended_lines
from segops_durable.intake.imports.mend_marks import marks

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

pytestmark = pytest.mark.one_python

FIELDS = FieldMap(columns={"user_id": "email", "occurred_at": "at"})
GOOD = "2026-01-31T12:00:00Z"


@pytest.fixture
def client(make_client: Callable[..., SegOpsClient]) -> SegOpsClient:
    return make_client(api_url="http://127.0.0.1:9")


def stored(client: SegOpsClient) -> list[Any]:
    return [json.loads(row.data) for row in client._outbox.waiting.peek(100_000)]


def write(path: Path, count: int) -> Path:
    """Write records of which every second one has a time that is none."""
    found = [
        {"email": f"u{n}", "event_type": "sold", "at": "soon" if n % 2 else GOOD, "n": n}
        for n in range(count)
    ]
    if path.suffix == ".jsonl":
        path.write_text("".join(json.dumps(each) + "\n" for each in found))
    elif path.suffix == ".csv":
        lines = [f"{each['email']},sold,{each['at']},{each['n']}\n" for each in found]
        path.write_text("email,event_type,at,n\n" + "".join(lines))
    else:
        pq.write_table(pa.Table.from_pylist(found), path)
    return path


def mend(rejects: Path, numbers: set[int] | None = None) -> None:
    """Mend the times of records, as somebody does with an editor."""
    lines = rejects.read_text().splitlines()
    for place in range(len(lines)):
        if numbers is None or place in numbers:
            lines[place] = lines[place].replace("soon", GOOD)
    rejects.write_text("\n".join(lines))


@pytest.mark.parametrize("name", ["a.jsonl", "a.csv", "a.parquet"])
def test_a_record_that_was_mended_is_stored_once_however_often_its_file_is_imported(
    client: SegOpsClient, tmp_path: Path, name: str
) -> None:
    path, rejects = write(tmp_path / name, 20), tmp_path / "rejects.jsonl"
    assert client.import_events(path, field_map=FIELDS, rejects=rejects) == ImportResult(10, 10, 0)
    bad: list[tuple[int, str]] = []

    def note(mended: mended_lines.Mended, reason: str) -> None:
        bad.append((mended.line, reason))

    again = client.import_rejected(rejects, field_map=FIELDS, on_bad=note)
    assert again == ImportResult(0, 10, 0)
    assert all("occurred_at: must be ISO 8601" in reason for _, reason in bad)
    mend(rejects, {0, 1, 5})
    assert client.import_rejected(rejects, field_map=FIELDS) == ImportResult(3, 7, 0)
    assert client.import_rejected(rejects, field_map=FIELDS) == ImportResult(0, 7, 3)
    mend(rejects)
    assert client.import_rejected(rejects, field_map=FIELDS) == ImportResult(7, 0, 3)
    assert client.import_rejected(rejects, field_map=FIELDS) == ImportResult(0, 0, 10)
    assert client.import_events(path, field_map=FIELDS, rejects=rejects) == ImportResult(0, 0, 10)
    events = stored(client)
    assert sorted(each["payload"]["n"] for each in events) == list(range(20))
    assert {each["occurred_at"] for each in events} == {"2026-01-31T12:00:00+00:00"}
    assert {len(each["payload"]) for each in events} == {1}


class KilledError(BaseException):
    """Ends an import as a kill would: between any two transactions."""


@pytest.mark.parametrize("name", ["a.jsonl", "a.csv", "a.parquet"])
def test_an_import_of_rejects_that_is_killed_anywhere_goes_on(
    client: SegOpsClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    path, rejects = write(tmp_path / name, 40), tmp_path / "rejects.jsonl"
    client.import_events(path, field_map=FIELDS, rejects=rejects)
    mend(rejects)
    monkeypatch.setattr(mended_lines, "_ROWS", 3)
    append, kills = client._outbox.commit.append, 0
    for is_after in (True, False) * 4:

        def die(*args: Any, is_after: bool = is_after) -> None:
            nonlocal kills
            kills += 1
            if is_after or kills % 2:
                append(*args)
            if is_after or not kills % 2:
                raise KilledError

        monkeypatch.setattr(client._outbox.commit, "append", die)
        with pytest.raises(KilledError):
            client.import_rejected(rejects, field_map=FIELDS)
    monkeypatch.setattr(client._outbox.commit, "append", append)
    result = client.import_rejected(rejects, field_map=FIELDS)
    assert (result.stored + result.stored_before, result.rejected) == (20, 0)
    assert sorted(each["payload"]["n"] for each in stored(client)) == list(range(40))


def test_bytes_that_are_no_text_are_kept_as_they_were_and_can_be_mended(
    client: SegOpsClient, tmp_path: Path
) -> None:
    path, rejects = tmp_path / "a.csv", tmp_path / "rejects.jsonl"
    raw = b'ann,sold,"\xff;b"\r\n'
    path.write_bytes(b"user_id,event_type,note\r\n" + raw)
    assert client.import_events(path, rejects=rejects).rejected == 1
    document = json.loads(rejects.read_text())
    assert base64.b64decode(document["record_base64"]) == raw
    assert (document["line"], document["last_line"]) == (2, 2)
    assert client.import_rejected(rejects).rejected == 1
    document["record_base64"] = base64.b64encode(raw.replace(b"\xff", b"y")).decode()
    rejects.write_text(json.dumps(document))
    assert client.import_rejected(rejects).stored == 1
    assert stored(client)[0]["payload"] == {"note": "y;b"}


def test_rejects_that_somebody_mends_meanwhile_are_not_cut_by_the_import_that_goes_on(
    client: SegOpsClient, tmp_path: Path
) -> None:
    path, rejects = write(tmp_path / "a.jsonl", 6), tmp_path / "rejects.jsonl"
    client.import_events(path, field_map=FIELDS, rejects=rejects)
    mend(rejects)
    rejects.write_text(rejects.read_text() + "\n\n")
    before = rejects.read_text()
    client.import_events(path, field_map=FIELDS, rejects=rejects)
    assert rejects.read_text() == before
    with path.open("a") as file:
        file.write("bad\n")
    client.import_events(path, field_map=FIELDS, rejects=rejects)
    assert rejects.read_text().startswith(before)
    assert json.loads(rejects.read_text().splitlines()[-1])["record"] == "bad\n"


def test_rejects_of_an_import_that_was_begun_anew_are_not_stored_beside_it(
    client: SegOpsClient, tmp_path: Path
) -> None:
    path, rejects = write(tmp_path / "a.csv", 4), tmp_path / "rejects.jsonl"
    client.import_events(path, field_map=FIELDS, rejects=rejects)
    copy = tmp_path / "copy.jsonl"
    copy.write_text(rejects.read_text())
    mapped = FieldMap(columns={"user_id": "email"})  # the time goes into the payload
    again = client.import_events(path, field_map=mapped, rejects=rejects, restart=True)
    assert (again.stored, rejects.read_text()) == (4, "")
    mend(copy)
    assert client.import_rejected(copy, field_map=FIELDS).rejected == 2


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"format": None}, "no record that an import has rejected"),
        ({"import": None}, "without `import` and `line`"),
        ({"line": "2"}, "without `import` and `line`"),
        ({"mapping": "x"}, "with another mapping"),
    ],
)
def test_what_is_no_file_of_rejects_is_refused_and_nothing_of_it_is_stored(
    client: SegOpsClient, tmp_path: Path, change: dict[str, Any], problem: str
) -> None:
    path, rejects = write(tmp_path / "a.jsonl", 4), tmp_path / "rejects.jsonl"
    client.import_events(path, field_map=FIELDS, rejects=rejects)
    mend(rejects)
    lines = [json.loads(line) for line in rejects.read_text().splitlines()]
    lines[-1].update(change)
    rejects.write_text("".join(json.dumps(line) + "\n" for line in lines))
    with pytest.raises(ConfigurationError, match=problem):
        client.import_rejected(rejects, field_map=FIELDS)
    assert len(stored(client)) == 2


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"record": '{"email": "a"}\n{"email": "b"}'}, "2 records, where one was"),
        ({"record": ""}, "0 records, where one was"),
        ({"record": None}, "neither a text"),
        ({"is_cut": True}, "only the beginning of the record"),
        ({"values": 5}, "values must be an object"),
    ],
)
def test_a_record_that_is_not_one_record_stays_bad(
    client: SegOpsClient, tmp_path: Path, change: dict[str, Any], reason: str
) -> None:
    path, rejects = write(tmp_path / "a.jsonl", 2), tmp_path / "rejects.jsonl"
    client.import_events(path, field_map=FIELDS, rejects=rejects)
    rejects.write_text(json.dumps({**json.loads(rejects.read_text()), **change}))
    reasons: list[str] = []
    result = client.import_rejected(
        rejects, field_map=FIELDS, on_bad=lambda _, text: reasons.append(text)
    )
    assert result == ImportResult(0, 1, 0)
    assert reason in reasons[0]


def rows(kind: pa.DataType, *values: Any) -> pa.Table:
    """Rows of one person, of whom one column is odd."""
    odd = pa.array(values, kind)
    people = {name: ["u"] * len(values) for name in ("user_id", "event_type")}
    return pa.table({**people, "v": odd})


TWICE = [("a", 1), ("b", 2), ("a", 3)]
BAD_TEXT = pa.table(
    {"user_id": ["u"], "event_type": ["u"], "v": pa.array([b"\xff;"]).view(pa.string())}
)


@pytest.mark.parametrize(
    ("table", "shown"),
    [
        (rows(pa.date32(), 6_600_000), "+20040-03-09"),
        (rows(pa.date32(), -800_000), "-0221-09-04"),
        (rows(pa.timestamp("s"), 10**12), "+33658-09-27T01:46:40"),
        (rows(pa.timestamp("ms", "UTC"), 10**15 + 7), "+33658-09-27T01:46:40.007+00:00"),
        (rows(pa.time32("s"), 90_000), "90000000 ms"),
        (rows(pa.map_("string", "int64"), TWICE), [["a", 1], ["b", 2], ["a", 3]]),
        (rows(pa.list_(pa.date32()), [1, 6_600_000]), ["1970-01-02", "+20040-03-09"]),
        (rows(pa.list_(pa.date32(), 2), [1, 6_600_000]), ["1970-01-02", "+20040-03-09"]),
        (
            rows(pa.struct({"n": pa.int64(), "d": pa.date32()}), {"n": 5, "d": 6_600_000}),
            {"n": 5, "d": "+20040-03-09"},
        ),
        (BAD_TEXT, "/zs="),
        (rows(pa.float64(), float("-inf")), "-inf"),
        (rows(pa.list_(pa.float64()), [1.5, float("inf")]), [1.5, "inf"]),
    ],
)
def test_a_value_that_no_event_can_have_is_kept_as_it_is_until_it_is_mended(
    client: SegOpsClient, tmp_path: Path, table: pa.Table, shown: object
) -> None:
    path, rejects = tmp_path / "a.parquet", tmp_path / "rejects.jsonl"
    pq.write_table(table, path)
    assert client.import_events(path, rejects=rejects).rejected == 1
    document = json.loads(rejects.read_text())
    assert document["values"] == {**document["values"], "v": shown}
    assert client.import_rejected(rejects) == ImportResult(0, 1, 0)
    document["values"]["event_type"] = "sold"  # something else of it was mended, and this was not
    rejects.write_text(json.dumps(document))
    assert client.import_rejected(rejects) == ImportResult(0, 1, 0)
    document["values"]["v"] = "mended"
    rejects.write_text(json.dumps(document))
    assert client.import_rejected(rejects) == ImportResult(1, 0, 0)
    assert stored(client)[0]["payload"] == {"v": "mended"}


def test_what_beside_a_bad_value_is_right_comes_to_the_same_event_when_that_is_mended(
    client: SegOpsClient, tmp_path: Path
) -> None:
    fields = FieldMap(columns={"occurred_at": "at"}, casts={"user_id": "text", "note": "text"})
    columns = {
        "user_id": pa.array([b"ann"] * 2),
        "event_type": ["sold"] * 2,
        "at": [GOOD, "soon"],
        "note": pa.array([b"seen"] * 2),
        "bytes": pa.array([b"\xff"] * 2),
        "number": [float("nan")] * 2,
    }
    path, rejects = tmp_path / "a.parquet", tmp_path / "rejects.jsonl"
    pq.write_table(pa.table(columns), path)
    client.import_events(path, field_map=fields, rejects=rejects)
    mend(rejects)
    assert client.import_rejected(rejects, field_map=fields) == ImportResult(1, 0, 0)
    first, second = stored(client)
    assert {**first, "event_id": ""} == {**second, "event_id": ""}


@pytest.mark.parametrize("name", ["a.jsonl", "a.csv", "a.parquet"])
def test_a_record_that_nobody_mended_is_rejected_again_unless_somebody_says_that_it_is_right(
    client: SegOpsClient, tmp_path: Path, name: str
) -> None:
    path, rejects = write(tmp_path / name, 2), tmp_path / "rejects.jsonl"
    client.import_events(path, field_map=FIELDS, rejects=rejects)
    document = json.loads(rejects.read_text())
    del document["mapping"]
    written = document.pop("written")
    lenient = FieldMap(columns={"user_id": "email"})  # the time goes into the payload
    reasons: list[str] = []
    marked = {**document, "written": marks(document)["written"]}
    assert marked["written"] != written  # other options are meant: it is another record
    rejects.write_text(json.dumps({**marked, "reason": "a note"}))
    result = client.import_rejected(
        rejects, field_map=lenient, on_bad=lambda _, text: reasons.append(text)
    )
    assert result == ImportResult(0, 1, 0)
    assert "is not mended yet" in reasons[0]
    rejects.write_text(json.dumps(document))
    assert client.import_rejected(rejects, field_map=lenient) == ImportResult(1, 0, 0)
