from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

import pytest

from segops_durable import ConfigurationError, FieldMap
from segops_durable.kafka import consume

if TYPE_CHECKING:
    from collections.abc import Callable

    from segops_durable import SegOpsClient

CONFIG = {"bootstrap.servers": "127.0.0.1:9"}


async def later(_message: object) -> None:
    """No event yet."""


WRONG: list[tuple[str, Any]] = [
    ("topic", ""),
    ("topic", []),
    ("topic", b"clicks"),
    ("topic", ["clicks", 1]),
    ("partitions", []),
    ("partitions", [-1]),
    ("partitions", [True]),
    ("partitions", 3),
    ("share", (2, 2)),
    ("share", (0, 1, 2)),
    ("share", 1),
    ("field_map", {"user_id": "u"}),
    ("field_map", FieldMap(columns={"user_id": "kafka.keys"})),
    ("field_map", FieldMap(columns={"user_id": "kafka.header."})),
    ("to_event", "json"),
    ("to_event", later),
    ("start", "newest"),
    ("start", "group"),
    ("start", datetime(2026, 1, 1)),  # noqa: DTZ001 - it has no zone
    ("on_gap", "ignore"),
    ("on_reject", 1),
    ("on_progress", 1),
    ("max_errors", -1),
    ("batch_size", 0),
    ("batch_size", 10_001),
    ("batch_size", 1.5),
    ("max_wait", 0),
    ("max_wait", float("nan")),
    ("timeout", "long"),
    ("until_end", 1),
    ("stop", True),
    ("cluster", ""),
    ("cluster", "a:b"),
    ("rejects", 3),
    ("config", {**CONFIG, "no.such.setting": "x"}),
]


@pytest.mark.parametrize(("name", "value"), WRONG)
def test_an_argument_that_cannot_work_is_named_and_nothing_is_asked_of_kafka(
    make_client: Callable[..., SegOpsClient], name: str, value: Any
) -> None:
    given: dict[str, Any] = {"topic": "clicks", "config": CONFIG, name: value}
    with pytest.raises(ConfigurationError, match=name) as caught:
        consume(make_client(), **given)
    assert caught.value.field == name


@pytest.mark.parametrize(
    ("more", "field"),
    [
        ({"partitions": [0], "share": (0, 2)}, "share"),
        ({"to_event": lambda _: None, "field_map": FieldMap()}, "field_map"),
    ],
)
def test_of_two_that_exclude_each_other_one_is_refused(
    make_client: Callable[..., SegOpsClient], more: dict[str, Any], field: str
) -> None:
    with pytest.raises(ConfigurationError, match="left out") as caught:
        consume(make_client(), "clicks", config=CONFIG, **more)
    assert caught.value.field == field


def test_a_client_with_a_public_key_is_refused(make_client: Callable[..., SegOpsClient]) -> None:
    with pytest.raises(ConfigurationError, match="must be a secret key"):
        consume(make_client("pk_test"), "clicks", config=CONFIG)
    with pytest.raises(ConfigurationError, match="must be a SegOpsClient"):
        consume(None, "clicks", config=CONFIG)  # type: ignore[arg-type]  # a mistake
