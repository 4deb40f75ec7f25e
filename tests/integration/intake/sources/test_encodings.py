"""In whatever encoding a text is: it is read on at a byte, and its mistakes cost their record."""

from __future__ import annotations

import codecs
import json
from typing import TYPE_CHECKING

import pytest

from segops_durable import ConfigurationError
from segops_durable.intake.imports import FileOptions, open_source
from segops_durable.intake.sources.encodings import Encoding
from segops_durable.intake.sources.source import BEGINNING
from support.csv_files import HEADER, ROWS, parsed

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.one_python
# whose bytes hold those of line ends, across the units of UTF-16 and UTF-32
ODD = "\u0a00\u0100\u0a05\u0d00\u0100\u0d05\U000a0041\U00010000\U000a0041\U000d0041\U00010000"
TEXT = f'{HEADER}u1,sold,"Łódź €\n{ODD}"\nu2,sold,a\u2028b\u0085c\n{ROWS[:2000]}u3,sold,'


@pytest.mark.parametrize(
    "codec",
    ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-be"],
)
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("form", ["csv", "jsonl"])
def test_a_text_is_read_on_at_a_byte_whatever_its_encoding_and_ends(
    tmp_path: Path, codec: str, end: str, form: str
) -> None:
    path = tmp_path / f"a.{form}"
    if form == "jsonl":
        rows = [json.dumps({"n": number, "x": ODD}, ensure_ascii=False) for number in range(99)]
        text = "\n".join([*rows, "", "bad", ""])
    else:
        text = TEXT
    path.write_bytes(text.replace("\n", end).encode(codec))
    source = open_source(path)
    source.most_rows = 7
    whole = list(source.chunks(BEGINNING))
    records = [record for chunk in whole for record in chunk.records]
    assert len(records) > 80
    for place, chunk in enumerate(whole):
        again = open_source(path)
        again.most_rows = 5
        rest = [record for each in again.chunks(chunk.end) for record in each.records]
        assert rest == [record for each in whole[place + 1 :] for record in each.records]
    raws = [record.raw for record in records]
    assert all(raw in path.read_bytes() for raw in raws)
    value = source.parse(records[0])[0]
    said = value["x"] if form == "jsonl" else value["note"]
    assert said == (ODD if form == "jsonl" else f"Łódź €{end}{ODD}")


@pytest.mark.parametrize("codec", ["latin-1", "cp1252", "cp037", "shift_jis"])
def test_an_encoding_may_be_given_and_what_it_has_not_is_rejected(
    tmp_path: Path, codec: str
) -> None:
    path = tmp_path / "a.csv"
    note = "日本" if codec == "shift_jis" else "é£"
    path.write_bytes(f"{HEADER}u,sold,{note}\n".encode(codec))
    good, bad = parsed(path, FileOptions(encoding=codec))
    assert ([row["note"] for row in good], bad) == ([note], [])
    assert open_source(path, options=FileOptions(encoding=codec)).columns == (
        "user_id",
        "event_type",
        "note",
    )


def test_bytes_that_are_none_of_the_encoding_cost_their_record(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(HEADER.encode() + b'u,sold,\xe9\nv,sold,"a\n\xe9"\nw,sold,1\n')
    good, bad = parsed(path)
    assert [row["user_id"] for row in good] == ["w"]
    assert bad[0][2:] == (
        "no CSV: byte 8 of the line, 0xe9, is no UTF-8 (--encoding)",
        b"u,sold,\xe9\n",
    )
    path.write_bytes(HEADER.encode() + b"u,sold,\x81\nv,sold,\x80\n")
    good, bad = parsed(path, FileOptions(encoding="cp1252"))
    assert [row["note"] for row in good] == ["€"]
    assert "0x81, is no CP1252" in bad[0][2]


def test_an_encoding_that_the_mark_contradicts_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(codecs.BOM_UTF16_LE + HEADER.encode("utf-16-le"))
    with pytest.raises(ConfigurationError, match="a byte order mark says utf-16-le"):
        open_source(path, options=FileOptions(encoding="latin-1"))
    source = open_source(path, options=FileOptions(encoding="utf-16"))
    assert source.encoding == Encoding("utf-16-le", b"\n\0")
