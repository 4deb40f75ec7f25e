"""Any rows in any dialect come out as they went in, and no bytes at all do harm."""

from __future__ import annotations

import csv
import gzip
import io
import json
import lzma
import os
import re
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from support.imports import DATA, NAMES, Expected, Import, Number, expected_of

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [pytest.mark.one_python, pytest.mark.long]

MOST_MEMORY = 150 << 20
FIELDS = ("user_id", "event_type", "occurred_at", "anonymous_id", "payload", "traits")
NUMBER = re.compile(r"-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?", re.ASCII)

bounded = settings(
    max_examples=40,
    deadline=None,
    database=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)


@contextmanager
def imported(name: str, data: bytes, *arguments: str) -> Iterator[Import]:
    """An import of these bytes, in a home of its own."""
    said = Expected("", list(arguments), 0, "", name, False, 0, [], [])  # noqa: FBT003 - a row of a table
    with tempfile.TemporaryDirectory() as home:
        (Path(home) / "given").write_bytes(data)
        yield Import(Path(home), Path(home) / "given", said)


def texts(encoding: str) -> st.SearchStrategy[str]:
    usual = st.sampled_from(
        ["", "0", "1.10", "true", "a,b", 'say "no"', "two\nlines", "x\r\ny", " "]
    )
    many = st.text(st.characters(codec=encoding, exclude_characters="\0\ufeff"), max_size=8)
    return usual | many


@st.composite
def written_csv(draw: st.DrawFn) -> tuple[list[str], list[list[str]], bytes, list[str]]:
    """A header, its rows, what `csv.writer` makes of them, and the arguments that say how."""
    encoding, words = draw(
        st.sampled_from(
            [
                ("utf-8", []),
                ("utf-8-sig", []),
                ("utf-16", []),
                ("latin-1", ["--encoding", "latin-1"]),
                ("cp1252", ["--encoding", "cp1252"]),
                ("utf-16-le", ["--encoding", "utf-16-le"]),
            ]
        )
    )
    delimiter = draw(st.sampled_from(",;\t|"))
    is_said = draw(st.booleans())
    names = st.text("abcdef_-" + (" .;,|éß" if is_said else ""), min_size=1, max_size=6)
    hidden = names.filter(lambda name: name.strip(" .") != "" and name.strip() == name)
    columns = draw(st.lists(hidden, unique=True, max_size=4))
    header = ["user_id", "event_type", *columns]
    row = st.tuples(
        texts(encoding).map("u".__add__),
        texts(encoding).map("t".__add__),
        *[texts(encoding)] * len(columns),
    ).map(list)
    rows = draw(st.lists(row, max_size=6))
    is_odd = any(sign in value for each in rows for value in each for sign in "\r\n")
    end = draw(st.sampled_from(["\n", "\r\n"] + ([] if is_odd else ["\r"])))
    text = io.StringIO(newline="")
    quoting: Any = csv.QUOTE_ALL if is_odd or draw(st.booleans()) else csv.QUOTE_MINIMAL
    writer = csv.writer(text, delimiter=delimiter, lineterminator=end, quoting=quoting)
    writer.writerows([header, *rows])
    data = text.getvalue()
    if draw(st.booleans()):
        data = data.removesuffix(end)
    words = [*words, "--delimiter", delimiter] if is_said else words
    return header, rows, data.encode(encoding), words


def says_the_same(value: Any, text: str) -> bool:
    """Whether a value is a text, or what JSON would have of it and nobody could mind."""
    if isinstance(value, Number):
        return NUMBER.fullmatch(text) is not None and Decimal(value.text) == Decimal(text)
    if value is None:
        return text == ""
    if isinstance(value, bool):
        return text.lower() == str(value).lower()
    return bool(value == text)


@given(written_csv())
@bounded
def test_any_rows_in_any_dialect_of_csv_come_out_as_they_went_in(
    made: tuple[list[str], list[list[str]], bytes, list[str]],
) -> None:
    header, rows, data, words = made
    with imported("a.csv", data, *words) as one:
        result = one.run()
        assert result.exit_code == 0, (result.output, one.rejected())
        events = one.stored()
        assert len(events) == len(rows)
        for event, row in zip(events, rows, strict=True):
            assert [event["user_id"], event["event_type"]] == row[:2]
            assert list(event["payload"]) == header[2:]
            for value, text in zip(event["payload"].values(), row[2:], strict=True):
                assert says_the_same(value, text), (value, text)


names = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=5).filter(
    lambda name: name not in FIELDS and "." not in name and name.strip() != ""
)
values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(codec="utf-8"), max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=3),
    max_leaves=8,
)


def is_kept(found: Any, given: Any) -> bool:
    """Whether a value came out as it went in; a long number may be its text."""
    if isinstance(given, dict):
        return found.keys() == given.keys() and all(is_kept(found[k], v) for k, v in given.items())
    if isinstance(given, list):
        return len(found) == len(given) and all(map(is_kept, found, given))
    if isinstance(given, bool) or given is None or isinstance(given, str):
        return bool(found == given and type(found) is type(given))
    text = found.text if isinstance(found, Number) else found
    return Decimal(text) == Decimal(str(given)) and (text[:1] == "-") == (str(given)[0] == "-")


@given(st.lists(st.dictionaries(names, values, max_size=4), max_size=5), st.booleans())
@bounded
def test_any_values_of_json_lines_come_out_as_they_went_in(
    payloads: list[dict[str, Any]], is_ascii: bool
) -> None:
    rows = [{"user_id": "u", "event_type": "t", **payload} for payload in payloads]
    text = "".join(json.dumps(row, ensure_ascii=is_ascii) + "\n" for row in rows)
    with imported("a.jsonl", text.encode()) as one:
        result = one.run()
        assert result.exit_code == 0, (result.output, one.rejected())
        found = [event["payload"] for event in one.stored()]
        assert len(found) == len(payloads)
        assert all(map(is_kept, found, payloads)), (found, payloads)


KINDS: dict[pa.DataType, st.SearchStrategy[Any]] = {
    pa.int64(): st.integers(-(2**63), 2**63 - 1),
    pa.uint64(): st.integers(0, 2**64 - 1),
    pa.float64(): st.floats(allow_nan=False, allow_infinity=False),
    pa.bool_(): st.booleans(),
    pa.string(): st.text(st.characters(codec="utf-8"), max_size=8),
    pa.decimal128(38, 6): st.decimals(-(10**30), 10**30, places=6),
    pa.list_(pa.int32()): st.lists(st.integers(-(2**31), 2**31 - 1), max_size=3),
    pa.struct([("a", pa.string()), ("b", pa.list_(pa.bool_()))]): st.fixed_dictionaries(
        {"a": st.text("ab", max_size=3) | st.none(), "b": st.lists(st.booleans(), max_size=2)}
    ),
}


@st.composite
def tables(draw: st.DrawFn) -> tuple[list[dict[str, Any]], pa.Table]:
    """Rows, and a table of them."""
    count = draw(st.integers(0, 5))
    kinds = draw(st.dictionaries(names, st.sampled_from(list(KINDS)), max_size=4))
    columns = {
        name: draw(st.lists(KINDS[kind] | st.none(), min_size=count, max_size=count))
        for name, kind in kinds.items()
    }
    rows = [{name: values[n] for name, values in columns.items()} for n in range(count)]
    arrays = {name: pa.array(column, kinds[name]) for name, column in columns.items()}
    users = pa.array([f"u{n}" for n in range(count)], pa.string())
    return rows, pa.table({"user_id": users, "event_type": users, **arrays})


@given(tables(), st.sampled_from(["none", "snappy", "gzip", "zstd", "lz4", "brotli"]))
@bounded
def test_any_table_of_parquet_comes_out_as_it_went_in(
    made: tuple[list[dict[str, Any]], pa.Table], codec: str
) -> None:
    rows, table = made
    sink = io.BytesIO()
    pq.write_table(table, sink, compression=codec, row_group_size=2)
    with imported("a.parquet", sink.getvalue()) as one:
        result = one.run()
        assert result.exit_code == 0, (result.output, one.rejected())
        found = one.stored()
        assert [event["user_id"] for event in found] == [f"u{n}" for n in range(len(rows))]
        for event, row in zip(found, rows, strict=True):
            assert is_kept(event["payload"], row), (event, row)


@st.composite
def damaged(draw: st.DrawFn) -> tuple[str, bytes, list[str]]:
    """A file of the corpus with bytes that were changed, cut, doubled or put in."""
    plain = [name for name in NAMES if (DATA / name).is_file()]
    name = draw(st.sampled_from(plain))
    data = bytearray((DATA / name).read_bytes()[:4000])
    for _ in range(draw(st.integers(1, 4))):
        place = draw(st.integers(0, len(data)))
        how = draw(st.sampled_from(["cut", "put", "change", "double", "swap"]))
        if how == "cut":
            del data[place : place + draw(st.integers(1, 40))]
        elif how == "put":
            odd = [b'"', b"\0", b"\r", b"\n", b"\xff\xfe", b",", b"{", b"\x1f\x8b", b"PAR1"]
            data[place:place] = draw(st.sampled_from(odd) | st.binary(max_size=9))
        elif how == "double":
            data[place:place] = data[: draw(st.integers(1, 60))]
        elif place < len(data):
            data[place] = draw(st.integers(0, 255))
    expected = expected_of(name)
    return expected.called, bytes(data), expected.arguments


@given(damaged())
@settings(bounded, max_examples=100)
def test_no_damage_ends_in_a_traceback_or_is_passed_over_with_status_0(
    made: tuple[str, bytes, list[str]],
) -> None:
    name, data, words = made
    with imported(name, data, *words) as one:
        _check_honest(one)


WORD = re.compile(rb"[A-Za-z0-9]{2,}")


@given(
    st.sampled_from(["a.csv", "a.jsonl", "a.parquet", "a.csv.gz", "a"]),
    st.sampled_from([b"", b"user_id,event_type,n\n", b"\x1f\x8b\x08", b"PAR1", b"PK\x03\x04"]),
    st.binary(max_size=300) | st.text(' ,"\n\r\tab01{}[]:;|', max_size=200).map(str.encode),
)
@example("a.csv", b"user_id,event_type,n\n", b'a,b,1\n"\n')
@settings(bounded, max_examples=100)
def test_no_bytes_at_all_are_passed_over_with_status_0(name: str, head: bytes, data: bytes) -> None:
    with imported(name, head + data) as one:
        if _check_honest(one) == 0 and head.startswith(b"user_id"):
            told = json.dumps([_texts(event) for event in one.stored()]).encode()
            lost = [word for word in WORD.findall(data) if word.lower() not in told.lower()]
            assert not lost, (data, told)


def _texts(event: Any) -> list[str]:
    values = [event["user_id"], event["event_type"], *event["payload"].values()]
    return [value.text if isinstance(value, Number) else str(value) for value in values]


def _check_honest(one: Import) -> int:
    """Import twice; check what has to hold of any file."""
    result = one.run()
    assert isinstance(result.exception, SystemExit | None), (result.output, result.exception)
    assert result.exit_code in {0, 1, 2}
    assert "Traceback" not in result.output
    found, rejected = one.stored(), one.rejected()
    if result.exit_code == 0:
        assert not rejected
    if result.exit_code == 2:
        assert not found
        assert not rejected
    one.run()
    assert len(one.stored()) == len(found)
    assert len(one.rejected()) == len(rejected)
    return result.exit_code


BOMBS = {  # what they begin with, and what is in them so many times
    "zeros.csv": (b"user_id,event_type\nu,t\n", b"\0", 100 << 20),
    "zeros.jsonl": (b'{"user_id": "u", "event_type": "t"}\n', b"\0", 100 << 20),
    "quote.csv": (b'user_id,event_type\nu,t\n"', b"x", 100 << 20),
    "header.csv": (b"user_id,event_type,", b"x", 100 << 20),
    "nested.jsonl": (b'{"user_id": "u", "event_type": "t"}\n', b"[", 100 << 20),
}
MEASURED = """
import sys
from segops_durable.cli.commands import run
try:
    run(sys.argv[1:])
finally:
    with open("/proc/self/status") as status:
        print([line.split()[1] for line in status if line.startswith("VmHWM")][0])
"""


@pytest.mark.skipif(sys.platform != "linux", reason="it reads /proc")
@pytest.mark.parametrize("name", BOMBS)
@pytest.mark.parametrize("suffix", ["", ".gz", ".xz"])
def test_a_file_that_is_far_larger_than_it_looks_is_read_in_bounded_memory(
    tmp_path: Path, name: str, suffix: str
) -> None:
    path = tmp_path / (name + suffix)
    head, part, count = BOMBS[name]
    opened: Any = {"": Path.open, ".gz": gzip.open, ".xz": lzma.open}[suffix]
    with opened(path, "wb") as file:
        file.write(head)
        for _ in range(count >> 20):
            file.write(part * (1 << 20))
    environment = {
        **os.environ,
        "SEGOPS_API_URL": "http://127.0.0.1:9",
        "SEGOPS_API_KEY": "sk_test",
        "SEGOPS_QUEUE_PATH": str(tmp_path / "queue" / "outbox.db"),
    }
    done = subprocess.run(
        [sys.executable, "-c", MEASURED, "import", str(path), "--max-errors", "100"],
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode in {1, 2}, done.stderr
    assert "Traceback" not in done.stderr
    assert int(done.stdout.split()[-1]) << 10 < MOST_MEMORY, done.stdout
