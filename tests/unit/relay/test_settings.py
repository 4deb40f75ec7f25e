from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from segops_durable import ConfigurationError
from segops_durable.relay import RelaySettings

pytestmark = pytest.mark.one_python

TOKEN = "a-token-of-twenty-letters"


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("listen", "8788"),
        ("listen", "127.0.0.1:70000"),
        ("listen", 17),
        ("listen", "0.0.0.0:8788"),
        ("listen", "192.168.1.5:8788"),
        ("listen", "[::]:8788"),
        ("listen", "device.local:8788"),
        ("max_body_bytes", 0),
        ("max_body_bytes", True),
        ("body_timeout", 0),
        ("body_timeout", "20"),
        ("replay_window", float("nan")),
        ("trust_local", "false"),
        ("allow_remote", 1),
        ("sign_url", "http://backend.example/sign"),
        ("sign_url", "file:///etc/passwd"),
        ("sign_url", "https://[::1"),
        ("sign_url", 5),
        ("sign_command", "sign 'for"),
        ("sign_command", ["sign"]),
        ("token", 1234567890123456),
        ("page_token", ["a"]),
        ("socket", ""),
        ("socket", 7),
    ],
)
def test_a_setting_that_cannot_be_is_refused_by_its_name(field: str, value: Any) -> None:
    with pytest.raises(ConfigurationError, match=f"^{field} must ") as caught:
        RelaySettings(**{field: value})
    assert caught.value.field == field


@pytest.mark.parametrize(
    "origin", ["shop.example", "https://shop.example/", "https://u@shop.example", "*", "null"]
)
def test_an_origin_that_no_browser_would_send_is_refused(origin: str) -> None:
    with pytest.raises(ConfigurationError, match="allow_origin must be an origin"):
        RelaySettings(allow_origins=(origin,))


@pytest.mark.parametrize("field", ["allow_origin", "allow_host"])
@pytest.mark.parametrize("value", [5, (5,), None, {"a": 1}, "https://shop.example"])
def test_names_that_are_no_list_of_texts_are_refused(field: str, value: Any) -> None:
    with pytest.raises(ConfigurationError, match=f"^{field} must be a text, or") as caught:
        RelaySettings(**{f"{field}s": value})
    assert caught.value.field == field


@pytest.mark.parametrize(
    "host", ["kiosk.example:8788", "[::1]:8788", "https://kiosk.example", "a b", "", "*"]
)
def test_a_host_that_no_request_could_name_is_refused(host: str) -> None:
    with pytest.raises(ConfigurationError, match="allow_host must be a name or an address"):
        RelaySettings(allow_hosts=(host,))


def test_others_are_served_only_if_that_is_said_and_they_have_a_token_to_show() -> None:
    with pytest.raises(ConfigurationError, match="token is not set"):
        RelaySettings(listen="0.0.0.0:8788", allow_remote=True)
    for weak in ("short", "with a blank in the midst", "with/a/slash/in/it"):
        with pytest.raises(ConfigurationError, match="token must have") as caught:
            RelaySettings(listen="0.0.0.0:8788", allow_remote=True, token=weak)
        assert weak not in str(caught.value)
    settings = RelaySettings(listen="0.0.0.0:8788", allow_remote=True, token=TOKEN)
    assert (settings.host, settings.port) == ("0.0.0.0", 8788)


def test_loopback_in_every_spelling_and_a_socket_need_nothing() -> None:
    for listen in ("127.0.0.1:1", "localhost:1", "[::1]:1", "127.8.8.8:0"):
        assert RelaySettings(listen=listen).listen == listen
    assert RelaySettings(socket=Path("/run/relay.sock")).socket is not None


def test_one_backend_signs_and_not_two() -> None:
    with pytest.raises(ConfigurationError, match="sign_url must not be set beside sign_command"):
        RelaySettings(sign_command="sign", sign_url="https://backend.example/sign")


def test_no_token_is_shown() -> None:
    assert TOKEN not in repr(RelaySettings(token=TOKEN, sign_command=f"sign {TOKEN}"))
