from __future__ import annotations

from typing import Any

import pytest

from segops_durable import ConfigurationError
from segops_durable.kafka.settings import settings_of

SERVERS = {"bootstrap.servers": "broker:9092"}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("enable.auto.commit", True),
        ("enable.auto.commit", "true"),
        ("enable.auto.offset.store", True),
        ("auto.offset.reset", "latest"),
        ("enable.partition.eof", False),
    ],
)
def test_what_would_lose_messages_is_refused(name: str, value: object) -> None:
    with pytest.raises(ConfigurationError, match=f"config must leave {name} at") as caught:
        settings_of({**SERVERS, name: value})
    assert caught.value.field == "config"


def test_what_has_to_be_so_may_be_said_in_any_way() -> None:
    said = {"enable.auto.commit": "False", "auto.offset.reset": "error"}
    assert settings_of({**SERVERS, **said}).consumer["enable.auto.commit"] is False


@pytest.mark.parametrize("config", [None, "broker:9092", [("a", "b")], {1: "x"}, {}, {"a": "b"}])
def test_what_names_no_broker_is_refused(config: Any) -> None:
    with pytest.raises(ConfigurationError, match=r"^config must"):
        settings_of(config)


def test_no_value_is_repeated_where_the_whole_is_wrong() -> None:
    with pytest.raises(ConfigurationError) as caught:
        settings_of("sasl.password=secret-word")  # type: ignore[arg-type]  # a mistake
    assert "secret-word" not in str(caught.value)


def test_a_group_is_told_only_if_one_is_named() -> None:
    assert not settings_of(SERVERS).has_group
    named = settings_of({**SERVERS, "group.id": "lag"})
    assert named.has_group
    assert named.consumer["group.id"] == "lag"


def test_what_asks_about_topics_is_given_no_setting_of_consumers() -> None:
    given = {**SERVERS, "group.id": "lag", "fetch.wait.max.ms": 5, "sasl.username": "me"}
    admin = settings_of(given).admin
    assert admin["sasl.username"] == "me"
    assert set(admin) == {"bootstrap.servers", "client.id", "logger", "sasl.username"}


def test_memory_is_bounded_and_only_committed_messages_are_read_unless_it_is_said_otherwise() -> (
    None
):
    consumer = settings_of(SERVERS).consumer
    assert consumer["queued.max.messages.kbytes"] == 16_384
    assert consumer["isolation.level"] == "read_committed"
    other = {"queued.max.messages.kbytes": 1, "isolation.level": "read_uncommitted"}
    assert settings_of({**SERVERS, **other}).consumer.items() >= other.items()


def test_a_line_that_librdkafka_logs_at_each_attempt_is_let_pass_now_and_then(
    caplog: pytest.LogCaptureFixture,
) -> None:
    logger = settings_of(SERVERS).consumer["logger"]
    kind = f"FAIL-{id(caplog)}"  # another test may have logged what is usual
    for _ in range(5):
        logger.warning("%s [%s] %s", kind, "consumer-1", "Connection refused")
    logger.warning("%s [%s] %s", f"{kind}-2", "consumer-1", "Connection refused")
    assert len(caplog.messages) == 2
