"""The options of a client: checked once, then frozen."""

from __future__ import annotations

import hashlib
import ipaddress
import math
import os
import re
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NoReturn
from urllib.parse import SplitResult, urlsplit

import platformdirs

from segops_durable.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import requests

    from segops_durable.errors import SegOpsError
    from segops_durable.events import UserContext

Durability = Literal["full", "normal"]
Overflow = Literal["raise", "block", "drop_oldest"]

MAX_BATCH_SIZE = 500
"""Events in one request at most (public SegOps documentation)."""

_KEY = re.compile(r"(?P<kind>sk|pk)_[A-Za-z0-9_.~+/=-]+")
_LONGEST_WAIT = 86_400.0 * 365
_LARGEST = 1 << 62


@dataclass(frozen=True, kw_only=True, repr=False)
class Options:
    """Everything that a client can be told, validated on construction.

    Attributes:
        api_url: Where SegOps is, e.g. ``https://api.segops.ai``. ``https`` unless the host
            is loopback or `allow_insecure` is set.
        api_key: A secret key (``sk_…``), or a public key (``pk_…``) on a device.
        get_user: For a public key: who is using the device now, asked whenever an event is
            tracked, on the caller's thread, and when a session is opened, on the flusher's.
            None, or an empty context, is a visitor. Defaults to a visitor.
        user_context_for: For a public key: called with the user id of somebody whose events
            wait and who is not using the device any more, to have your backend sign afresh;
            None makes them wait. Called on the flusher's thread. Defaults to nobody.
        batch: Collect events into batches; False sends after every call. Defaults to True.
        batch_size: Events in a request, 1 to 500. Defaults to 20.
        flush_interval: Seconds between two looks at the outbox. Defaults to 5.
        on_error: Called with each `SegOpsError` that delivery meets, on the flusher's
            thread; a wrong key or address is told of once. Defaults to the logger
            ``segops_durable``, with one line an hour for each kind of error.
        timeout: Seconds for all of a request, but for the look-up of the host's name, which
            is the system's. Defaults to 10.
        queue_path: The outbox file. Defaults to a file in the user's state directory, one
            for each `api_url` and key.
        durability: ``full``: an event survives a power cut once `track` has returned;
            ``normal``: a kill, but perhaps not a power cut. Defaults to ``full``.
        max_queue_events: Events that may wait at most. Defaults to None: no limit.
        max_queue_bytes: Bytes of the outbox file in use at most, dead letters included; what
            SQLite keeps beside it adds up to 1 MiB or so. Defaults to None: no limit.
        max_event_bytes: Bytes of one encoded event at most. Defaults to 262144, 256 KiB.
        overflow: What `track` does when the outbox is full: ``raise`` a `QueueFullError`;
            ``block`` until there is room, for `overflow_timeout`; or ``drop_oldest``, which
            is counted and reported, and never touches a batch in flight. Defaults to
            ``raise``.
        overflow_timeout: Seconds that ``block`` waits, before it raises. Defaults to 30.
        allow_network_filesystem: Allow the outbox on a network file system, whose locks may
            not hold. Defaults to False.
        max_retries: Further requests for a batch in a round after a 5xx or a broken
            connection; after them the batch waits for the next round. Defaults to 3.
        max_retry_after: Seconds that a ``Retry-After`` may ask for at most. Defaults to 3600.
        max_requests_per_minute: Spaces requests evenly, to stay below a rate limit; session
            handshakes count. Defaults to None: no limit of our own. SegOps' own are 60, 300
            or 1000 a minute, by plan (public documentation).
        shutdown_timeout: Seconds for the last effort at shutdown. Defaults to 5.
        http_session: A `requests.Session` to send with, e.g. for client certificates. With
            it, `timeout` holds for each step of a request: connecting, sending, each read of
            the headers, all of the body. Defaults to a new one, which takes a proxy and a
            private CA from the environment (``HTTPS_PROXY``, ``REQUESTS_CA_BUNDLE``).
        allow_insecure: Allow ``http://`` to another host. Defaults to False.

    Raises:
        ConfigurationError: A ValueError that names the option and its value; a key is
            never repeated.
    """

    api_url: str
    api_key: str = field(repr=False)
    get_user: Callable[[], UserContext | None] | None = None
    user_context_for: Callable[[str], UserContext | None] | None = None
    batch: bool = True
    batch_size: int = 20
    flush_interval: float = 5.0
    on_error: Callable[[SegOpsError], object] | None = None
    timeout: float = 10.0
    queue_path: Path | None = None
    durability: Durability = "full"
    max_queue_events: int | None = None
    max_queue_bytes: int | None = None
    max_event_bytes: int = 262_144
    overflow: Overflow = "raise"
    overflow_timeout: float = 30.0
    allow_network_filesystem: bool = False
    max_retries: int = 3
    max_retry_after: float = 3600.0
    max_requests_per_minute: int | None = None
    shutdown_timeout: float = 5.0
    http_session: requests.Session | None = None
    allow_insecure: bool = False

    def __post_init__(self) -> None:
        _check_key(self.api_key)
        object.__setattr__(self, "api_url", _checked_url(self.api_url, self.allow_insecure))
        _check_integer("batch_size", self.batch_size, 1, MAX_BATCH_SIZE)
        _check_integer("max_retries", self.max_retries, 0, 1000)
        for name in ("max_requests_per_minute", "max_queue_events", "max_queue_bytes"):
            if getattr(self, name) is not None:
                _check_integer(name, getattr(self, name), 1, _LARGEST)
        _check_integer("max_event_bytes", self.max_event_bytes, 1, _LARGEST)
        _check_seconds("overflow_timeout", self.overflow_timeout, zero=True)
        if self.overflow not in {"raise", "block", "drop_oldest"}:
            _refuse("overflow", 'must be "raise", "block" or "drop_oldest"', self.overflow)
        _check_seconds("max_retry_after", self.max_retry_after, zero=True)
        _check_seconds("flush_interval", self.flush_interval, zero=False)
        _check_seconds("timeout", self.timeout, zero=False)
        _check_seconds("shutdown_timeout", self.shutdown_timeout, zero=True)
        if self.durability not in {"full", "normal"}:
            _refuse("durability", 'must be "full" or "normal"', self.durability)
        for name in ("get_user", "user_context_for", "on_error"):
            value = getattr(self, name)
            if value is not None and not callable(value):
                _refuse(name, "must be callable", value)

    def __repr__(self) -> str:
        return (
            f"Options(api_url={self.api_url!r}, api_key={masked(self.api_key)!r}, "
            f"queue_path={str(self.outbox_path)!r}, durability={self.durability!r})"
        )

    @property
    def has_public_key(self) -> bool:
        """Whether the key goes through the session handshake (``pk_…``)."""
        return self.api_key.startswith("pk_")

    def with_key(self, api_key: str) -> Options:
        """The same options with another key of the same kind.

        Raises:
            ConfigurationError: It is no key, or one of another kind.
        """
        changed = replace(self, api_key=api_key)
        if changed.has_public_key != self.has_public_key:
            raise ConfigurationError(
                f"api_key must be of the same kind, {masked(self.api_key)}, got {masked(api_key)}",
                field="api_key",
                hint="Secret and public keys attribute events differently: make a new client",
            )
        return changed

    @property
    def key_fingerprint(self) -> str:
        """A short hash that tells two keys apart and gives neither away."""
        return hashlib.sha256(f"segops_durable\0{self.api_key}".encode()).hexdigest()[:16]

    @property
    def outbox_path(self) -> Path:
        """`queue_path`, or its default."""
        if self.queue_path is not None:
            return self.queue_path
        tenant = hashlib.sha256(f"{self.api_url}\0{self.key_fingerprint}".encode()).hexdigest()
        return default_directory() / f"outbox-{tenant[:12]}.db"


def options_from_env(environ: Mapping[str, str] | None = None, **overrides: Any) -> Options:  # noqa: ANN401 - Options checks each
    """Make `Options` of ``SEGOPS_…`` environment variables; keyword arguments win.

    Read are ``SEGOPS_API_URL`` and ``SEGOPS_API_KEY`` (required), ``SEGOPS_QUEUE_PATH``,
    ``SEGOPS_DURABILITY``, ``SEGOPS_BATCH``, ``SEGOPS_BATCH_SIZE``, ``SEGOPS_FLUSH_INTERVAL``,
    ``SEGOPS_TIMEOUT``, ``SEGOPS_MAX_RETRIES``, ``SEGOPS_MAX_RETRY_AFTER``,
    ``SEGOPS_MAX_REQUESTS_PER_MINUTE``, ``SEGOPS_MAX_QUEUE_EVENTS``,
    ``SEGOPS_MAX_QUEUE_BYTES``, ``SEGOPS_MAX_EVENT_BYTES``, ``SEGOPS_OVERFLOW``,
    ``SEGOPS_OVERFLOW_TIMEOUT``, ``SEGOPS_ALLOW_NETWORK_FILESYSTEM``,
    ``SEGOPS_SHUTDOWN_TIMEOUT`` and ``SEGOPS_ALLOW_INSECURE``. An empty variable counts as unset.

    Raises:
        ConfigurationError: A required variable is missing, or one cannot be read.
    """
    found = environment_settings(environ)
    chosen = {**{name: value for name, (_, value) in found.items()}, **overrides}
    for name in ("api_url", "api_key"):
        if name not in chosen:
            variable = f"SEGOPS_{name.upper()}"
            raise ConfigurationError(
                f"{name} is not set", field=name, hint=f"Set the environment variable {variable}"
            )
    return Options(**chosen)


def environment_settings(
    environ: Mapping[str, str] | None = None,
) -> dict[str, tuple[str, Any]]:
    """The options that are set in the environment: the variable of each, and its value.

    Raises:
        ConfigurationError: One cannot be read.
    """
    env = os.environ if environ is None else environ
    variables = {name: f"SEGOPS_{name.upper()}" for name in _READERS}
    return {
        name: (variable, _read(variable, env[variable], _READERS[name]))
        for name, variable in variables.items()
        if env.get(variable)
    }


def settings_names() -> tuple[str, ...]:
    """The names of the options that can be written down, in a file or in the environment."""
    return tuple(_READERS)


def default_directory() -> Path:
    """The per-user directory that holds outboxes when no `queue_path` is given."""
    return platformdirs.user_state_path("segops-durable", appauthor=False)


def checked_path(value: str | os.PathLike[str] | None) -> Path | None:
    """Make a `queue_path` absolute, so that a later chdir does not move the outbox.

    Raises:
        ConfigurationError: It is no path.
    """
    if value is None:
        return None
    try:
        path = Path(value).expanduser().absolute()
    except (TypeError, RuntimeError):
        _refuse("queue_path", "must be a path", value)
    if not str(value) or not path.name or "\0" in str(path):
        _refuse("queue_path", "must be the path of a file", value)
    return path


def masked(api_key: str) -> str:
    """A key as it may be shown: its kind, and nothing else."""
    return f"{api_key[:3]}…" if _KEY.fullmatch(api_key) else "…"


def _refuse(name: str, problem: str, value: object) -> NoReturn:
    raise ConfigurationError(f"{name} {problem}, got {value!r}", field=name)


def _check_key(api_key: object) -> None:
    if isinstance(api_key, str) and _KEY.fullmatch(api_key):
        return
    if isinstance(api_key, str) and api_key.startswith("mk_"):
        problem, hint = (
            "is a management key (mk_…)",
            "Management keys never ingest; use sk_… or pk_…",
        )
    else:
        problem, hint = "is malformed", "A key is sk_… or pk_…, without spaces or line breaks"
    raise ConfigurationError(f"api_key {problem}", field="api_key", hint=hint)


def _checked_url(value: object, allow_insecure: bool) -> str:  # noqa: FBT001 - private, one caller
    if not isinstance(value, str):
        _refuse("api_url", "must be a string", value)
    try:
        parts = urlsplit(value)
        host, _ = parts.hostname, parts.port
    except ValueError:
        _refuse("api_url", "must be a URL", value)
    if parts.scheme not in {"https", "http"} or not host:
        _refuse("api_url", "must be an http(s) URL with a host", value)
    if parts.username is not None or parts.query or parts.fragment:
        problem = "must not carry a user name, a query or a fragment"
        raise ConfigurationError(f"api_url {problem}", field="api_url")
    if any(not character.isprintable() or character.isspace() for character in value):
        _refuse("api_url", "must not have spaces or control characters", value)
    _check_secure(parts, host, value, allow_insecure=allow_insecure)
    return value.rstrip("/")


def _check_secure(parts: SplitResult, host: str, value: str, *, allow_insecure: bool) -> None:
    if parts.scheme == "http" and not allow_insecure and not _is_loopback(host):
        raise ConfigurationError(
            f"api_url must be https, got {value!r}",
            field="api_url",
            hint="Pass allow_insecure=True to send keys and events unencrypted",
        )


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def _check_integer(name: str, value: object, low: int, high: int) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
        _refuse(name, f"must be an integer from {low} to {high}", value)


def _check_seconds(name: str, value: object, *, zero: bool) -> None:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if is_number and math.isfinite(value) and 0 <= value <= _LONGEST_WAIT and (zero or value):  # type: ignore[arg-type,operator]  # is_number says so
        return
    _refuse(name, f"must be a {'' if zero else 'positive '}number of seconds", value)


def _read(variable: str, text: str, read: Callable[[str], Any]) -> Any:  # noqa: ANN401 - the reader's type
    try:
        return read(text)
    except (KeyError, ValueError):
        _refuse(variable, "cannot be read", text)


def _flag(text: str) -> bool:
    return {"1": True, "true": True, "yes": True, "0": False, "false": False, "no": False}[
        text.strip().lower()
    ]


_READERS: dict[str, Callable[[str], Any]] = {
    "api_url": str,
    "api_key": str,
    "queue_path": checked_path,
    "durability": str,
    "batch": _flag,
    "batch_size": int,
    "flush_interval": float,
    "timeout": float,
    "max_retries": int,
    "max_queue_events": int,
    "max_queue_bytes": int,
    "max_event_bytes": int,
    "overflow": str,
    "overflow_timeout": float,
    "allow_network_filesystem": _flag,
    "max_retry_after": float,
    "max_requests_per_minute": int,
    "shutdown_timeout": float,
    "allow_insecure": _flag,
}
