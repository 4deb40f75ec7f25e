from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from segops_durable import ConfigurationError
from segops_durable.client.checks import checked_path
from segops_durable.client.environment import options_from_env
from segops_durable.client.options import Options

SECRET = "sk_live_verysecret"


def options(**changes: Any) -> Options:
    return Options(**{"api_url": "https://api.segops.ai", "api_key": SECRET, **changes})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("batch_size", 0),
        ("batch_size", 501),
        ("batch_size", "20"),
        ("batch_size", True),
        ("max_retries", -1),
        ("batch", "false"),
        ("allow_insecure", 1),
        ("allow_network_filesystem", None),
        ("flush_interval", 0),
        ("flush_interval", float("nan")),
        ("timeout", -1.0),
        ("timeout", "10"),
        ("shutdown_timeout", float("inf")),
        ("durability", "maybe"),
        ("get_user", "someone"),
        ("on_error", 3),
        ("api_url", "ftp://api.segops.ai"),
        ("api_url", "api.segops.ai"),
        ("api_url", "https://api.segops.ai:port"),
        ("api_url", "http://api.segops.ai"),
        ("api_url", "https://api segops.ai"),
        ("api_url", 7),
    ],
)
def test_a_bad_value_is_refused_with_its_name_and_the_value(name: str, value: Any) -> None:
    with pytest.raises(ConfigurationError) as caught:
        options(**{name: value})
    assert caught.value.field == name
    assert repr(value) in str(caught.value)


@pytest.mark.parametrize("value", ["https://u:p@api.segops.ai", "https://api.segops.ai?a=1"])
def test_an_api_url_with_more_than_a_place_is_refused_without_repeating_it(value: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        options(api_url=value)
    assert value not in str(caught.value)


@pytest.mark.parametrize(
    "key", ["mk_live_verysecret", "verysecret", "sk_very secret", "sk_\r\nX", ""]
)
def test_a_key_that_cannot_ingest_is_refused_and_never_repeated(key: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        options(api_key=key)
    assert caught.value.field == "api_key"
    assert "secret" not in str(caught.value)


def test_a_key_is_not_in_the_repr() -> None:
    assert SECRET not in repr(options())
    assert "sk_…" in repr(options())


@pytest.mark.parametrize(
    "url", ["http://localhost:8787", "http://127.0.0.1:8787/", "http://[::1]:8787"]
)
def test_http_is_allowed_to_loopback(url: str) -> None:
    assert options(api_url=url).api_url == url.rstrip("/")


def test_http_is_allowed_elsewhere_only_when_asked_for() -> None:
    assert options(api_url="http://segops.lan", allow_insecure=True).api_url == "http://segops.lan"


def test_two_tenants_on_one_machine_never_share_an_outbox() -> None:
    paths = {
        options().outbox_path,
        options(api_key="sk_other").outbox_path,
        options(api_url="https://eu.segops.ai").outbox_path,
    }
    assert len(paths) == 3
    assert options().outbox_path == options(api_url="https://api.segops.ai/").outbox_path
    assert not any("verysecret" in str(path) for path in paths)


def test_a_relative_queue_path_is_made_absolute() -> None:
    path = checked_path("queue.db")
    assert path == Path.cwd() / "queue.db"


@pytest.mark.parametrize("value", [3, "", "/", "a\0b"])
def test_a_queue_path_that_is_none_is_refused(value: Any) -> None:
    with pytest.raises(ConfigurationError):
        checked_path(value)


def test_the_environment_is_read() -> None:
    found = options_from_env(
        {
            "SEGOPS_API_URL": "https://api.segops.ai",
            "SEGOPS_API_KEY": SECRET,
            "SEGOPS_QUEUE_PATH": "/var/lib/kiosk/outbox.db",
            "SEGOPS_BATCH": "false",
            "SEGOPS_BATCH_SIZE": "50",
            "SEGOPS_TIMEOUT": "2.5",
            "SEGOPS_DURABILITY": "",
        },
        max_retries=1,
    )
    assert found.outbox_path == Path("/var/lib/kiosk/outbox.db")
    assert (found.batch, found.batch_size, found.timeout) == (False, 50, 2.5)
    assert (found.durability, found.max_retries) == ("full", 1)


@pytest.mark.parametrize(
    ("environ", "named"),
    [
        ({}, "SEGOPS_API_URL"),
        ({"SEGOPS_API_URL": "https://x.y"}, "SEGOPS_API_KEY"),
        ({"SEGOPS_BATCH_SIZE": "many"}, "SEGOPS_BATCH_SIZE"),
        ({"SEGOPS_BATCH": "perhaps"}, "SEGOPS_BATCH"),
    ],
)
def test_a_variable_that_is_missing_or_odd_is_named(environ: dict[str, str], named: str) -> None:
    with pytest.raises(ConfigurationError, match=named):
        options_from_env(environ)


def test_batches_that_catch_up_are_as_all_others_unless_they_are_larger() -> None:
    assert options(batch_size=7).largest_batch == 7
    assert options(batch_size=7, catch_up_batch_size=7).largest_batch == 7
    assert options(catch_up_batch_size=500).largest_batch == 500
    for wrong in (0, 501, 6, "20", 20.0):
        with pytest.raises(ConfigurationError, match=r"catch_up_batch_size must.*got") as caught:
            options(batch_size=7, catch_up_batch_size=wrong)
        assert caught.value.field == "catch_up_batch_size"
