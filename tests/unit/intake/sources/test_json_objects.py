"""Lines of JSON are read as they are meant, with orjson and without."""

from __future__ import annotations

import pytest

from segops_durable.intake.sources import json_objects as reading


@pytest.fixture(params=["with orjson", "without"])
def _reader(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param == "without":
        monkeypatch.setattr(reading, "_read_fast", None)


@pytest.mark.usefixtures("_reader")
@pytest.mark.parametrize(
    "line",
    [
        b'{"n":1,"n":2}',
        b'{"n": 1, "n": 2}',
        b'{"n" :1,"n" :2}',
        b'{"n":1,"n" :2}',
        b'{"n":1,"n"\t:2}',
        b'{"n":1,"n"\r:2}',
        b'{"n":1,"n"\n:2}',
        b'{"a" :1,"n":1,"n":2}',
        b'{"payload":{"n" :1,"n" :2},"a":"b"}',
        b'{"n":1,"\\u006e":2}',
        b'{"payload":{"n":1,"n":2}}',
        b'{"payload":[[{"n":1},{"n":1,"n":1}]]}',
        b'{"a":"\\":","n":1,"n":2}',
        b'{"n":12345678901234567890,"n":1}',
    ],
)
def test_an_object_with_a_key_twice_is_refused_as_one_value_would_hide_the_other(
    line: bytes,
) -> None:
    with pytest.raises(ValueError, match="the key 'n' is there twice"):
        reading.read_object(line)
    for other in (b"{}", b'{"a":"\\":"}', b'{"a":"\\":\\":"}'):  # in which a text looks like a key
        assert reading.read_objects([other, line])[1] is None


@pytest.mark.usefixtures("_reader")
@pytest.mark.parametrize(
    ("line", "document"),
    [
        (b"{}", {}),
        (b'{"a" : {"n":1}, "b":{"n":[]}}', {"a": {"n": 1}, "b": {"n": []}}),
        (b'{"a":[{"n":1},{"n":"\\":"}]}', {"a": [{"n": 1}, {"n": '":'}]}),
    ],
)
def test_keys_of_one_name_in_several_objects_are_several_values(
    line: bytes, document: object
) -> None:
    assert reading.read_object(line)[0] == document


@pytest.mark.usefixtures("_reader")
@pytest.mark.parametrize("odd", [b"{", b"[]", b'{"n":12345678901234567890}', b'{"n" : 1}', b""])
def test_many_lines_are_read_as_each_of_them_whatever_others_there_are(odd: bytes) -> None:
    lines = [b'{"a":[{"n":1},{"n":"\\":"}]}\n', b"{}", b' {"a" : 1.5}\r\n', b'{"a":{"a":{}}}']
    expected = [
        document if is_safe else None for document, is_safe in map(reading.read_object, lines)
    ]
    assert reading.read_objects(lines) == expected
    found = reading.read_objects([*lines[:2], odd, *lines[2:]])
    assert [*found[:2], *found[3:]] == expected
