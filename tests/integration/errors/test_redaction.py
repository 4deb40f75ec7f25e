"""What is told, logged or noted has no secret in it, wherever it comes from."""

from __future__ import annotations

import traceback
from typing import TYPE_CHECKING, Any

import pytest
import requests
from click.testing import CliRunner

import segops_durable
from segops_durable import ConfigurationError, SegOpsError, UserContext
from segops_durable.cli.commands import run
from segops_durable.client.options import Options
from support.events import track
from support.peer import Peer, answer

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from segops_durable import SegOpsClient

SIGNATURE = "0123456789abcdef" * 4


def in_wrong_form() -> Any:
    return {"user_id": "ann", "user_id_sig": SIGNATURE, "user_id_ts": 1}


def of_a_wrong_type() -> Any:
    return UserContext(user_id="ann", user_id_sig=SIGNATURE.encode(), user_id_ts=1)  # type: ignore[arg-type]  # that is the point


def with_half_a_character() -> Any:
    return UserContext(user_id="ann", user_id_sig=SIGNATURE + "\ud800", user_id_ts=1)


def in_an_exception() -> Any:
    try:
        return dict[str, Any]()[SIGNATURE]
    except KeyError as error:
        raise RuntimeError(f"cannot use {SIGNATURE}") from error


@pytest.mark.parametrize(
    "give", [in_wrong_form, of_a_wrong_type, with_half_a_character, in_an_exception]
)
def test_a_signature_is_in_no_error_traceback_or_note(
    make_client: Callable[..., SegOpsClient], queue_path: Path, give: Callable[[], Any]
) -> None:
    told: list[SegOpsError] = []
    client = make_client("pk_test", get_user=give, on_error=told.append)
    track(client, 1)
    client.flush(timeout=60)
    assert told
    for error in told:
        assert isinstance(error, segops_durable.IdentityError)
        shown = "".join(traceback.format_exception(error)) + repr(vars(error))
        assert SIGNATURE not in shown
        assert "get_user()" in shown
    assert SIGNATURE.encode() not in queue_path.with_name("outbox.db.sender").read_bytes()


def test_what_a_server_repeats_of_a_key_is_told_and_kept_without_it(
    make_client: Callable[..., SegOpsClient], queue_path: Path
) -> None:
    key = "sk_live_0123456789"
    told: list[SegOpsError] = []
    said = answer(400, {"detail": f"bad: ApiKey {key} {SIGNATURE}"})
    with Peer(lambda _request: said) as segops:
        client = make_client(key, api_url=segops.url, on_error=told.append)
        track(client, 1)
        client.flush(timeout=60)
        (letter,) = client.dead_letters()
        for shown in (str(told[0]), repr(letter), str(client.stats().last_error)):
            assert "bad: ApiKey" in shown
            assert key not in shown
            assert SIGNATURE not in shown
        note = queue_path.with_name("outbox.db.sender").read_text(encoding="utf-8")
        assert key not in note
        client.shutdown(0)


def test_a_proxys_password_is_in_no_error(
    make_client: Callable[..., SegOpsClient], monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[SegOpsError] = []
    for proxy in (
        "http://joe:hunter2@127.0.0.1:9",
        "odd://joe:hunter2@127.0.0.1:9",
        "joe:hunter2@",
    ):
        for name in ("https_proxy", "HTTPS_PROXY"):
            monkeypatch.setenv(name, proxy)
        client = make_client(api_url="https://segops.invalid", max_retries=0, on_error=told.append)
        track(client, 1)
        client.flush(timeout=60)
        client.shutdown(0)
        assert told
        assert "hunter2" not in "".join(map(str, told))
        assert "hunter2" not in "".join("".join(traceback.format_exception(each)) for each in told)


def test_what_on_error_raises_is_logged_without_secrets(
    make_client: Callable[..., SegOpsClient], caplog: pytest.LogCaptureFixture
) -> None:
    def fail(_error: SegOpsError) -> None:
        raise RuntimeError(f"cannot post with sk_live_0123456789 {SIGNATURE}")

    client = make_client(api_url="http://127.0.0.1:9", max_retries=0, on_error=fail)
    track(client, 1)
    client.flush(timeout=60)
    assert "cannot post with sk_" in caplog.text
    assert "0123456789" not in caplog.text


PASSWORD = "hunter2pass"
UNKNOWN = "s3cretword"  # of no proxy, and so known by nothing
MALFORMED = [
    "http://joe:{}#x@127.0.0.1:1",
    "http://joe:{}?x@127.0.0.1:1",
    "http://joe:{}/x@127.0.0.1:1",
    "http://joe:{}\\x@127.0.0.1:1",
    "http://joe:{} x@127.0.0.1:1",
    "http://joe:x#{}@127.0.0.1:1",
    "joe:{}@127.0.0.1:1",
    "//joe:{}@127.0.0.1:1",
    "http://{}#@127.0.0.1:1",
    "http://joe:{}@[bad",
    "http:/joe:{}@127.0.0.1:1",
]


@pytest.mark.one_python
@pytest.mark.parametrize("is_of_session", [False, True], ids=["environment", "session"])
@pytest.mark.parametrize("proxy", MALFORMED)
def test_a_proxys_password_is_in_no_error_or_note_however_its_url_is_mistyped(
    make_client: Callable[..., SegOpsClient],
    queue_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    proxy: str,
    is_of_session: bool,
) -> None:
    told: list[SegOpsError] = []
    session = None
    if is_of_session:
        session = requests.Session()
        session.proxies["http"] = proxy.format(PASSWORD)
    else:
        monkeypatch.setenv("http_proxy", proxy.format(PASSWORD))
    client = make_client(
        api_url="http://segops.invalid",
        allow_insecure=True,
        http_session=session,
        on_error=told.append,
        max_retries=0,
    )
    track(client, 1)
    client.flush(timeout=60)
    assert told
    for error in told:
        assert PASSWORD not in "".join(traceback.format_exception(error)) + repr(vars(error))
    note = queue_path.with_name("outbox.db.sender").read_text(encoding="utf-8")
    assert "cannot be reached" in note
    assert PASSWORD not in note
    client.shutdown(0)


@pytest.mark.parametrize(
    "api_url",
    [
        "joe:{}@host",
        "{}@host",
        "ftp://joe:{}@host",
        "https://joe:{} x@host",
        "https://joe:{}\n@host",
        "https://joe:{}@[bad",
        "https://joe@{}@host:port",
        "https://joe:{}@host:99999",
        "https://joe:{}@",
        "http://joe:{}@host",
        b"https://joe:{}@host",
    ],
)
def test_what_is_before_the_at_of_an_address_is_never_repeated(
    api_url: str | bytes, monkeypatch: pytest.MonkeyPatch, queue_path: Path
) -> None:
    is_text = isinstance(api_url, str)
    given: Any = api_url.format(UNKNOWN) if is_text else api_url.replace(b"{}", UNKNOWN.encode())  # type: ignore[union-attr,arg-type]  # is_text says which
    with pytest.raises(ConfigurationError) as raised:
        Options(api_url=given, api_key="sk_test")
    error: BaseException | None = raised.value
    while error is not None:
        assert UNKNOWN not in f"{error} {error!r} {getattr(error, 'hint', '')}"
        error = error.__cause__ or error.__context__
    if is_text:
        monkeypatch.setenv("SEGOPS_API_URL", given)
        monkeypatch.setenv("SEGOPS_API_KEY", "sk_test")
        monkeypatch.setenv("SEGOPS_QUEUE_PATH", str(queue_path))
        for command in (["config"], ["config", "--json"], ["doctor", "--offline"], ["drain"]):
            result = CliRunner().invoke(run, command)
            assert "api_url" in result.output
            assert UNKNOWN not in result.output
