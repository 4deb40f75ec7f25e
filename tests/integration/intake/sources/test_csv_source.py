from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from segops_durable import ConfigurationError, ImportResult, SegOpsClient
from segops_durable.intake.imports import FileOptions
from support.csv_files import HEADER, notes, parsed, stored

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.one_python


def rejected(path: Path) -> list[Any]:
    return [json.loads(line) for line in path.read_text().splitlines()]


@pytest.mark.parametrize("delimiter", [";", "\t", "|", ","])
def test_the_delimiter_is_found(tmp_path: Path, delimiter: str) -> None:
    path = tmp_path / "a.csv"
    lines = ['user_id;event_type;"a,b|c"', 'u;sold;"1,5"', "v;sold;x"]
    path.write_text("\n".join(line.replace(";", delimiter) for line in lines) + "\n")
    good, bad = parsed(path)
    assert bad == []
    names = ["user_id", "event_type", "a,b|c".replace(";", delimiter)]
    assert [list(row) for row in good] == [names, names]


def test_a_delimiter_that_is_given_beats_what_would_be_found(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("user_id^event_type^a,b,c,d\nu^sold^1,2,3,4\n")
    good, _ = parsed(path, FileOptions(delimiter="^"))
    assert good == [{"user_id": "u", "event_type": "sold", "a,b,c,d": "1,2,3,4"}]
    path.write_text("\ufeffsep=;\nuser_id;event_type;a,b,c,d,e\nu;sold;1\n")  # as Excel has it
    assert parsed(path)[0] == [{"user_id": "u", "event_type": "sold", "a,b,c,d,e": "1"}]


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"delimiter": ";;"}, "delimiter must be one character"),
        ({"delimiter": "\n"}, "delimiter must be one character"),
        ({"quote": "ab"}, "quote must be one character"),
        ({"quote": ";", "delimiter": ";"}, "quote and delimiter are the same"),
        ({"encoding": "klingon"}, "encoding must be one that Python knows, got 'klingon'"),
        ({"encoding": "base64"}, "encoding must be one that Python knows"),
        ({"encoding": "punycode"}, "cannot be read line by line"),
        ({"max_record_lines": 0}, "max_record_lines must be at least 1, got 0"),
    ],
)
def test_an_option_that_cannot_be_is_refused(options: dict[str, Any], problem: str) -> None:
    with pytest.raises(ConfigurationError, match=problem):
        FileOptions(**options)


def test_what_was_joined_of_several_files_has_each_row_once(
    client: SegOpsClient, tmp_path: Path
) -> None:
    path = tmp_path / "a.csv"
    path.write_text(f"\ufeff{HEADER}u,sold,1\n\ufeff{HEADER}v,sold,2\n{HEADER[:-1]},,\nw,sold,3\n")
    assert client.import_events(path) == ImportResult(3, 0, 0)
    assert [event["user_id"] for event in stored(client)] == ["u", "v", "w"]


def test_a_header_in_another_order_is_rejected_and_not_passed_over(
    client: SegOpsClient, tmp_path: Path
) -> None:
    path, bad = tmp_path / "a.csv", tmp_path / "a.rejects"
    path.write_text(f"{HEADER}u,sold,1\nevent_type,user_id,note,\nsold,x,4\nnote,sold,note\n")
    assert client.import_events(path, rejects=bad) == ImportResult(3, 1, 0)
    (reject,) = rejected(bad)
    assert reject["line"] == 3
    assert "a header with its columns in another order" in reject["reason"]
    assert [event["user_id"] for event in stored(client)] == ["u", "sold", "note"]


def test_empty_columns_at_the_end_are_none(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("user_id,event_type,,\nu,sold,,\nv,sold\nw,sold,,,,\nx,sold,,1\ny\n")
    good, bad = parsed(path)
    assert [row["user_id"] for row in good] == ["u", "v", "w"]
    assert [each[0] for each in bad] == [5, 6]
    assert all(list(row) == ["user_id", "event_type"] for row in good)


def test_a_file_that_is_met_before_its_header_is_there_is_read_when_it_is(
    client: SegOpsClient, tmp_path: Path
) -> None:
    path = tmp_path / "a.csv"
    text = f"{HEADER}u,sold,1\nv,sold,2\n"
    counts = []
    for size in (0, 10, len(HEADER), len(HEADER) + 3, len(text)):
        path.write_bytes(text[:size].encode())
        try:
            counts.append(client.import_events(path).stored)
        except ConfigurationError:  # half a header has no column for the event's type
            counts.append(0)
    assert counts == [0, 0, 0, 0, 2]


def test_a_row_that_is_being_written_is_left_until_it_is_there(
    client: SegOpsClient, tmp_path: Path
) -> None:
    path = tmp_path / "a.csv"
    path.write_text(f"{HEADER}u,sold,1\nv,so")
    assert client.import_events(path) == ImportResult(1, 0, 0, is_incomplete=True)
    with path.open("a") as file:
        file.write("ld,2\n")
    assert client.import_events(path) == ImportResult(1, 0, 1)
    assert notes(client) == [1, 2]


def test_a_hole_of_zeros_and_a_line_without_end_cost_their_lines(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    with path.open("wb") as file:
        file.write(f"{HEADER}u,sold,1\n".encode())
        file.truncate(1 << 28)
        file.seek(0, 2)
        file.write(b"\nv,sold,2\n" + bytes(100) + b"w,sold,3\nx,sold,4\n")
    good, bad = parsed(path)
    assert [row["user_id"] for row in good] == ["u", "v", "x"]
    assert [each[0] for each in bad] == [3, 5]
    assert "longer than" in bad[0][2]
    assert "zero bytes" in bad[1][2]
    assert all(len(each[3]) <= 1024 for each in bad)


def test_a_header_of_forty_thousand_columns_is_no_slower_for_each(tmp_path: Path) -> None:
    names = [f"column_{number}" for number in range(40_000)]
    path = tmp_path / "a.csv"
    path.write_text("\n".join([",".join(names), *[",".join(["1"] * 40_000)] * 3, ""]))
    good, bad = parsed(path)
    assert (len(good), len(good[0]), bad) == (3, 40_000, [])
