"""What a relay is told beside the options of its client: where it listens, and whom it serves."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn
from urllib.parse import urlsplit

from segops_durable.errors import ConfigurationError
from segops_durable.errors.plain_text import shown
from segops_durable.system.hosts import is_loopback

LISTEN = "127.0.0.1:8788"
DAY = 86_400.0
_MOST_BYTES = 1 << 30
_LEAST_TOKEN = 16
_LAST_PORT = 65_535
_ORIGIN = re.compile(r"https?://[^/?#\s@]+", re.IGNORECASE)
_HOST = re.compile(r"\[?[0-9a-f:]*:[0-9a-f:.]+\]?|[a-z0-9._-]+", re.IGNORECASE)
_LISTEN = re.compile(r"(?P<host>\[[0-9a-fA-F:.]+\]|[^:\s/]+):(?P<port>\d{1,5})")
_TOKEN = re.compile(r"[A-Za-z0-9_.~-]+")


@dataclass(frozen=True, kw_only=True)
class RelaySettings:
    """Where a relay listens, and whom it serves.

    Attributes:
        listen: The address and the port, ``HOST:PORT``; port 0 picks one. Defaults to
            ``127.0.0.1:8788``.
        socket: The path of a Unix socket to listen on instead. Defaults to none.
        trust_local: Take any program of this machine for one that has a key, whichever it sends.
            Defaults to False.
        allow_origins: Origins of web pages that may post, ``https://shop.example``. Defaults to
            none.
        allow_hosts: Names that the relay goes by, beside those of this machine. Defaults to none.
        allow_remote: Listen on an address that others can reach. Defaults to False.
        token: What those from elsewhere have to show. Defaults to none.
        page_token: What the page at ``/`` needs to show events, and to change anything. Defaults to
            one that is made at each start, and printed.
        sign_command: A command that signs for a user whose session is over: it gets
            ``{"user_id", "user_id_sig", "user_id_ts", "checked"}`` on its standard input, checks
            the signature unless SegOps did (``checked``), and prints the first three anew, within
            10 seconds and 64 KiB. Defaults to none.
        sign_url: A URL of the application's backend that does the same for a POST. Defaults to
            none.
        max_body_bytes: Bytes of a request's body at most, as it is sent and unpacked. Defaults to
            8 MiB.
        body_timeout: Seconds for a request to arrive whole. Defaults to 20.
        replay_window: Seconds that the answer to a request with an ``Idempotency-Key`` is kept.
            Defaults to a day.

    Raises:
        ConfigurationError: A ValueError that names the setting and its value.
    """

    listen: str = LISTEN
    socket: Path | None = None
    trust_local: bool = False
    allow_origins: tuple[str, ...] = ()
    allow_hosts: tuple[str, ...] = ()
    allow_remote: bool = False
    token: str | None = None
    page_token: str | None = None
    sign_command: str | None = None
    sign_url: str | None = None
    max_body_bytes: int = 8 << 20
    body_timeout: float = 20.0
    replay_window: float = DAY

    def __post_init__(self) -> None:
        self._check_types()
        if not _is_listenable(self.listen):
            _refuse("listen", "must be HOST:PORT", self.listen)
        for each in self.allow_origins:
            if _ORIGIN.fullmatch(each) is None:
                _refuse("allow_origin", "must be an origin, as https://shop.example", each)
        for each in self.allow_hosts:
            if _HOST.fullmatch(each) is None:
                _refuse("allow_host", "must be a name or an address, and have no port", each)
        if type(self.max_body_bytes) is not int or not 1 <= self.max_body_bytes <= _MOST_BYTES:
            limits = f"must be an integer from 1 to {_MOST_BYTES}"
            _refuse("max_body_bytes", limits, self.max_body_bytes)
        for name in ("body_timeout", "replay_window"):
            value = getattr(self, name)
            if type(value) not in {int, float} or not 0 < value <= 366 * DAY:
                _refuse(name, "must be a positive number of seconds", value)
        self._check_signing()
        self._check_remote()

    def _check_types(self) -> None:
        """Refuse what a file has of another type: the text "false" would count as true."""
        for name in ("trust_local", "allow_remote"):
            if not isinstance(getattr(self, name), bool):
                _refuse(name, "must be true or false", getattr(self, name))
        if not isinstance(self.socket, Path | None):
            _refuse("socket", "must be a path", self.socket)
        for name in ("allow_origins", "allow_hosts"):
            value = getattr(self, name)
            if not isinstance(value, tuple) or not all(isinstance(each, str) for each in value):
                _refuse(name.removesuffix("s"), "must be a text, or a list of texts", value)
        for name in ("token", "page_token", "sign_command", "sign_url"):
            value = getattr(self, name)
            if not isinstance(value, str | None):  # what it is may be a secret
                got = type(value).__name__
                raise ConfigurationError(f"{name} must be a text, got one of {got}", field=name)

    def _check_signing(self) -> None:
        try:
            shlex.split(self.sign_command or "")
        except ValueError as error:  # and not what it is: it may have a secret in it
            problem = f"sign_command must be a line of words ({error})"
            raise ConfigurationError(problem, field="sign_command") from None
        url = self.sign_url
        if url is None:
            return
        if self.sign_command:
            _refuse("sign_url", "must not be set beside sign_command", url)
        try:
            parts = urlsplit(url)
        except ValueError:
            _refuse("sign_url", "must be an https URL", url)
        is_safe = parts.scheme == "https" or is_loopback(parts.hostname or "")
        if parts.scheme not in {"http", "https"} or not parts.hostname or not is_safe:
            _refuse("sign_url", "must be an https URL", url)

    def _check_remote(self) -> None:
        for name in ("token", "page_token"):
            token = getattr(self, name)
            if token is not None and (len(token) < _LEAST_TOKEN or _TOKEN.fullmatch(token) is None):
                least = f"{_LEAST_TOKEN} letters, digits, or more"
                problem = f"{name} must have {least}, that a URL can have"
                raise ConfigurationError(problem, field=name)
        if self.socket is None and not is_loopback(self.host) and not self.allow_remote:
            hint = "Others could reach it there: allow_remote, and a token for them to show"
            problem = f"listen must be an address of this machine alone, got {shown(self.listen)}"
            raise ConfigurationError(problem, field="listen", hint=hint)
        if self.allow_remote and self.token is None:
            raise ConfigurationError("token is not set, for those from elsewhere", field="token")

    def __repr__(self) -> str:
        return f"RelaySettings(listen={self.listen!r}, socket={str(self.socket)!r})"  # no token

    @property
    def host(self) -> str:
        """The address to listen on, without brackets."""
        return self.listen.rpartition(":")[0].strip("[]")

    @property
    def port(self) -> int:
        """The port to listen on."""
        return int(self.listen.rpartition(":")[2])


def _is_listenable(value: object) -> bool:
    match = _LISTEN.fullmatch(value) if isinstance(value, str) else None
    return match is not None and int(match["port"]) <= _LAST_PORT


def _refuse(name: str, problem: str, value: object) -> NoReturn:
    raise ConfigurationError(f"{name} {problem}, got {shown(value)}", field=name)
