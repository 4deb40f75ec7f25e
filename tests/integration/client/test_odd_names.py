"""Whatever is given as a name, a number or a place: it is taken, or refused by a typed error."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest

from segops_durable import ConfigurationError, SegOpsError, sign_user_id, verify_user_id

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from segops_durable import SegOpsClient

pytestmark = pytest.mark.one_python

SECRET = "00ff"


class Unspeakable:
    def __repr__(self) -> str:
        raise ValueError("no")


ODD: dict[str, Any] = {
    "half a surrogate pair": "\ud800",
    "nothing": "",
    "a zero": "a\0b",
    "long": "x" * 1_000_000,
    "an escape": "\x1b]0;x\x07",
    "bytes": b"x",
    "a number": 5,
    "a fraction": 1.5,
    "no number": float("nan"),
    "a huge number": 10**5000,
    "a truth": True,
    "a list": [],
    "a tuple": ("a",),
    "an object": object(),
    "one that cannot be shown": Unspeakable(),
}


@pytest.mark.parametrize("odd", ODD.values(), ids=list(ODD))
def test_an_odd_value_in_any_place_ends_in_a_typed_error_or_none(
    make_client: Callable[..., SegOpsClient],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    odd: Any,
) -> None:
    monkeypatch.chdir(tmp_path)  # where a relative path leads
    file = tmp_path / "events.jsonl"
    file.write_text('{"user_id": "ann", "event_type": "page_viewed"}\n', encoding="utf-8")
    client = make_client(api_url="http://127.0.0.1:1")
    calls: list[Callable[[], object]] = [
        lambda: client.forget(odd),
        lambda: client.checkpoint(odd),
        lambda: client.track_many([], checkpoint=(odd, 1)),
        lambda: client.set_api_key(odd),
        lambda: client.retry_dead_letters(odd),
        lambda: client.retry_dead_letters([odd]),
        lambda: client.discard_dead_letters(odd),
        lambda: client.discard_dead_letters([odd]),
        lambda: client.import_events(file, job=odd),
        lambda: client.import_events(file, file_format=odd),
        lambda: make_client(api_url=odd),
        lambda: make_client(odd),
        lambda: make_client(queue_path=odd),
        lambda: sign_user_id(odd, "ann"),
        lambda: sign_user_id(SECRET, odd),
        lambda: sign_user_id(SECRET, "ann", odd),
    ]
    if not isinstance(odd, int | float):
        calls += [lambda: client.flush(odd), lambda: client.shutdown(odd)]
    for call in calls:
        with suppress(SegOpsError):
            call()


@pytest.mark.parametrize("odd", ["\ud800", "a\ud800b", 5, b"x", ""])
def test_a_name_that_cannot_be_one_is_refused_by_its_field(
    make_client: Callable[..., SegOpsClient], odd: Any
) -> None:
    client = make_client()
    with pytest.raises(ConfigurationError) as raised:
        client.forget(odd)
    assert raised.value.field == "identity"


def test_what_came_over_a_network_is_no_signature_and_no_exception() -> None:
    for user_id, moment in (("\ud800", 1), ("ann", 10**5000), (5, 1)):
        assert not verify_user_id(SECRET, user_id, "00", moment)  # type: ignore[arg-type]  # that is the point
