"""Where a record of CSV ends: a stray quote costs its line, not those behind it."""

from __future__ import annotations

import csv
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

from segops_durable import ImportResult, SegOpsClient
from segops_durable.intake.imports import FileOptions
from support.csv_files import HEADER, ROWS, notes, parsed

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.one_python


@pytest.mark.parametrize(
    "after",
    [
        ROWS,
        "".join(f'u{number},sold,"{number}, quoted"\n' for number in range(2500)),
        "".join(f'"u{number}","sold","{number}"\n' for number in range(2500)),
        "".join(f'u{number},sold,", {number}"\n' for number in range(2500)),
        "".join(f'u{number},sold,""\n' for number in range(2500)),
        ROWS.replace("\n", "\r\n"),
        ROWS + 'u9,sold,a "nice" one\n',
    ],
    ids=["plain", "quoted", "all quoted", "delimiter first", "empty", "crlf", "quotes within"],
)
@pytest.mark.parametrize("stray", ['u,sold,"pipe\n', 'u,"sold,1\n', '"u,sold,1\n'])
def test_a_stray_quote_costs_its_line_alone(tmp_path: Path, after: str, stray: str) -> None:
    path = tmp_path / "a.csv"
    path.write_text(f"{HEADER}{ROWS[:100]}{stray}{after}", newline="")
    good, ((line, last_line, reason, raw),) = parsed(path)
    lines = path.read_text().count("\n")
    assert len(good) == lines - 2
    assert (line, last_line, raw) == (last_line, line, stray.encode())
    assert "quote that opens in line" in reason or "is expected after" in reason


def test_stray_quotes_in_every_line_cost_no_more_than_their_lines(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    lines = [f'u{number},sold,"{number}\n' for number in range(3000)]
    path.write_text(HEADER + "".join(lines))
    good, bad = parsed(path)
    assert good == []
    assert [each[3].decode() for each in bad] == lines


def test_the_inside_of_a_text_is_never_taken_for_events(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    text = f"{ROWS[:5000]}\nthe end"
    inside = f'"{text}"'
    path.write_text(f'{HEADER}u,sold,{inside}\nv,"so"ld,{inside}\nw,sold\nx,sold,1,{inside}\n')
    good, bad = parsed(path)
    assert [row["user_id"] for row in good] == ["u"]
    assert good[0]["note"] == text
    whole = [raw.decode() for _, _, _, raw in bad]
    assert whole == [f'v,"so"ld,{inside}\n', "w,sold\n", f"x,sold,1,{inside}\n"]


def test_how_many_lines_a_record_may_span_is_an_option(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text(f'{HEADER}u,sold,"1\n2\n3"\nv,sold,4\n')
    good, ((line, last_line, reason, _),) = parsed(path, FileOptions(max_record_lines=2))
    assert [row["user_id"] for row in good] == ["v"]
    assert (line, last_line) == (2, 4)
    assert "3 lines: 2 are allowed (--max-record-lines)" in reason
    assert len(parsed(path, FileOptions(max_record_lines=3))[0]) == 2


@pytest.mark.parametrize(
    ("other", "is_row"),
    [('v,sold,6"\n', True), ('v,sold,"6 inch\n', False), ('v,6" x\n', False)],
    ids=["fits", "opens", "does not fit"],
)
@pytest.mark.parametrize("most", [3, 1000])
def test_two_stray_quotes_far_apart_cost_no_row_between_them(
    tmp_path: Path, other: str, most: int, *, is_row: bool
) -> None:
    path = tmp_path / "a.csv"
    path.write_text(f'{HEADER}u,sold,"5 inch\n{ROWS}{other}w,sold,1\n')
    good, bad = parsed(path, FileOptions(max_record_lines=most))
    assert len(good) == 2501 + is_row
    assert [each[:2] for each in bad] == [(2, 2), (2503, 2503)][: 2 - is_row]
    assert f"closes no value within {most} lines" in bad[0][2] or not is_row


def test_a_text_beyond_the_bound_is_one_reject_and_nothing_comes_of_its_inside(
    tmp_path: Path,
) -> None:
    path = tmp_path / "a.csv"
    text = "a letter, of many lines\nu,sold,1\n\nYours\n" * 1000
    path.write_text(f'{HEADER}u,sold,"{text}"\nv,sold,2\n')
    good, ((line, last_line, reason, _),) = parsed(path)
    assert [row["user_id"] for row in good] == ["v"]
    assert (line, last_line) == (2, 4002)
    assert "4001 lines: 1000 are allowed" in reason


def test_stray_quotes_in_lines_that_follow_each_other_cost_a_line_each(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text(f'{HEADER}u,"sold,1\nv,"sold,2\nw,sold,3\nx,"sold,4\n')
    good, bad = parsed(path)
    assert [row["user_id"] for row in good] == ["w"]
    assert [each[:2] for each in bad] == [(2, 2), (3, 3), (5, 5)]


def test_a_line_of_nothing_but_delimiters_is_one_bad_record_in_a_moment(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    with path.open("w") as file:
        file.write(f"{HEADER}u,sold,1\n")
        for sign in (",", '""', "x"):
            file.write(sign * (20 << 20) + "\n")
        file.write("v,sold,2\n")
    start = time.process_time()
    good, bad = parsed(path)
    assert time.process_time() - start < 10  # 60 s for the commas alone, one by one
    assert [row["user_id"] for row in good] == ["u", "v"]
    assert [each[:2] for each in bad] == [(3, 3), (4, 4), (5, 5)]


PEAK = """
import sys
from pathlib import Path
from segops_durable.intake.imports import open_source
from segops_durable.intake.sources.source import BEGINNING
first = next(open_source(Path(sys.argv[1])).chunks(BEGINNING))
with open("/proc/self/status") as status:
    (peak,) = [line.split()[1] for line in status if line.startswith("VmHWM")]
print(*(record.line for record in first.records[:3]), peak)
"""


@pytest.mark.long
@pytest.mark.skipif(sys.platform != "linux", reason="it asks Linux for the memory")
def test_a_quote_before_millions_of_short_lines_holds_few_of_them(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text(f'{HEADER}u,sold,1\n"' + "y\n" * 2_000_000)
    command = [sys.executable, "-c", PEAK, str(path)]
    told = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    *lines, peak = map(int, told.split())
    assert lines == [2, 3, 4]
    assert peak < 150_000  # kB


def test_a_long_field_is_one_value_and_the_limit_of_the_program_stays(
    client: SegOpsClient, tmp_path: Path
) -> None:
    path = tmp_path / "a.csv"
    before = csv.field_size_limit(1000)
    try:
        path.write_text(f'{HEADER}u,sold,"{"x" * 200_000},"\nv,sold,{"y" * 2000}\n')
        assert client.import_events(path) == ImportResult(2, 0, 0)
        assert csv.field_size_limit() == 1000
    finally:
        csv.field_size_limit(before)
    assert notes(client) == ["x" * 200_000 + ",", "y" * 2000]


def test_another_quote_or_none_is_an_option(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text(f"{HEADER}u,sold,'a, ''b'''\n")
    assert parsed(path, FileOptions(quote="'"))[0][0]["note"] == "a, 'b'"
    path.write_text(f'{HEADER}u,sold,"12\n"v",sold,1\n')
    found = parsed(path, FileOptions(quote="none"))[0]
    assert [(row["user_id"], row["note"]) for row in found] == [("u", '"12'), ('"v"', "1")]
