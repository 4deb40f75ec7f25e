"""The options of a client: checked once, then frozen."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field, fields, replace
from typing import TYPE_CHECKING, Literal

from segops_durable.client.checks import checked_path, masked
from segops_durable.client.option_kinds import (
    CALLABLE,
    FLAG,
    KEY,
    OBJECT,
    PATH,
    PLAIN_CALLABLE,
    SECONDS,
    SECONDS_ABOVE_0,
    SHARE,
    SOME_SECONDS_ABOVE_0,
    URL,
    kind_of,
    number_of,
    one_of,
)
from segops_durable.errors import ConfigurationError
from segops_durable.identity import checked_url
from segops_durable.outbox import LOCK_TIMEOUT, places

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import requests

    from segops_durable.errors import SegOpsError
    from segops_durable.events import Event
    from segops_durable.identity import UserContext
    from segops_durable.outbox import Durability

Overflow = Literal["raise", "block", "drop_oldest"]
"""What `track` does when the outbox is full: raise, wait for room, or let the oldest go."""

MAX_BATCH_SIZE = 500
"""Events in one request at most (public SegOps documentation)."""


@dataclass(frozen=True, kw_only=True, repr=False)
class Options:
    """Everything that a client can be told, validated on construction.

    This is the one home of the options: here each has its name, type, default, unit and check,
    and what makes it of a variable of the environment (`environment`) or of a file of settings.
    The constructor of `SegOpsClient` and the README repeat them, and a test compares.

    Attributes:
        api_url: Where SegOps is: an ``https`` URL, or ``http`` where the host is loopback or
            `allow_insecure` is set. However it is spelled (upper case, a default port, a slash
            at the end), it becomes one text, and names one outbox.
        api_key: A secret key (``sk_…``), or a public key (``pk_…``) on a device.
        get_user: For a public key: who is using the device now. Asked whenever an event is
            tracked, on the caller's thread, and when a session is opened, on the flusher's.
            None, or an empty context, is a visitor. Defaults to a visitor.
        user_context_for: For a public key: called with the user id of somebody whose events
            wait and who is not using the device any more, to have your backend sign afresh.
            None makes them wait. Called on the flusher's thread. Defaults to nobody.
        before_store: Called with each event before it reaches the disk; what it returns is
            stored, and None is not. It is called on the caller's thread, for what is tracked
            and for what is imported; what it drops is counted (`Stats.screened_out`). The event
            is the callable's own: it may change it. If it raises, the event is refused. For
            redaction, enrichment and sampling. Defaults to none.
        may_send: Asked before each round, and within a long one at each `flush_interval`, whether
            anything may be sent now. A link may cost, a battery be low. True sends; False does
            not, and it is asked again after a `flush_interval`; a number does not for so many
            seconds, and 0 sends. If it raises, or returns something else (also a number below 0,
            NaN, or more than a year), `on_error` hears a `GateError`, once, and it counts as
            False. A `flush`, the last effort at shutdown and a drain ask as well. Events are kept
            in any case. Called on the flusher's thread; it must return soon. Defaults to None:
            always.
        sends: Whether this client ever sends; False only appends, for a web server's workers
            beside a sender that stands by itself. It never takes the sender's place, also not at
            shutdown, which does not wait; `flush` tells whoever sends, and waits for it. Where
            nobody does `Stats.state` is `State.NO_SENDER`, and `flush` returns at once. The
            commands that send (`run`, `relay`, `drain`) do so whatever this says. Defaults to
            True.
        batch: Collect events into batches; False sends after every call. Defaults to True.
        batch_size: Events in a request, 1 to 500. Defaults to 20.
        catch_up_batch_size: Events in a request where more than `batch_size` wait, 1 to 500, and
            not less than `batch_size`: a backlog leaves in so many fewer requests. Under a
            public key it is what waits of one user. What may have been sent before stays the
            batch that it was. Defaults to None: `batch_size`.
        newest_share: Of the batches that are sent while a backlog waits, the share that is made of
            the newest events, 0 to less than 1: 0.2 is every fifth. The others are of the oldest
            ones, as all are without it. A backlog is more than two batches; under a public key,
            of one user. Defaults to 0.
        flush_interval: Seconds between two looks at the outbox. Defaults to 5.
        on_error: Called with each `SegOpsError` that delivery meets, on the flusher's thread.
            A wrong key or address is told of once. Defaults to the logger ``segops_durable``,
            with one line an hour for each kind of error.
        timeout: Seconds for all of a request. The look-up of the host's name is not counted, as
            it is the system's. Defaults to 10.
        queue_path: The outbox file. Defaults to a file in the user's state directory, one for
            each `api_url` and key.
        durability: ``full``: an event survives a power cut once `track` has returned;
            ``normal``: a kill, but perhaps not a power cut. Defaults to ``full``.
        max_queue_events: Events that may wait at most. Defaults to None: no limit.
        max_queue_bytes: Bytes of the outbox file in use at most, dead letters included. SQLite's
            log beside it has up to 1 MiB or so; what it has beyond that, as long as another
            program reads the file, counts. Defaults to None: no limit.
        max_event_bytes: Bytes of one encoded event at most. Defaults to 262144, 256 KiB.
        overflow: What `track` does when the outbox is full: ``raise`` a `QueueFullError`;
            ``block`` until there is room, for `overflow_timeout`; or ``drop_oldest``, whatever
            their priority. What is dropped is counted and reported, and never a batch in flight.
            Defaults to ``raise``.
        max_age: Seconds that an event may wait to be sent. What is older goes to the dead letters
            (`Cause.EXPIRED`), is counted and told of (`ExpiredEventsError`), and can be put back,
            from when on its age counts anew. By the time since the boot where that tells, and not
            where the clock cannot be right; never of a batch that may have been sent. The option
            of the process that sends counts. Defaults to None: no limit.
        overflow_timeout: Seconds that ``block`` waits, before it raises. Defaults to 30.
        allow_network_filesystem: Allow the outbox on a network file system, whose locks may
            not hold. Defaults to False.
        lock_timeout: Seconds that a call waits for a process that holds the outbox and does
            nothing. It may be stopped; then the call raises a `BusyOutboxError`. For one that
            gets on, and for a thread, twelve times as long. Defaults to 5.
        max_retries: Further requests for a batch in a round after a 5xx or a broken connection.
            After them the batch waits for the next round. Defaults to 3.
        max_retry_after: Seconds that a ``Retry-After`` may ask for at most. What is drawn beyond
            it, so that not all devices come back in the same second, is not capped by this: up to
            a fifth of it, and 30 seconds at most. Defaults to 3600.
        max_requests_per_minute: Requests a minute at most, spaced evenly, to stay below a rate
            limit. They are those of all processes that send from the outbox, one after the other;
            session handshakes count. SegOps' own limits are 60 (Free), 300 (Starter) or 1000
            (Business) a minute (public documentation). Whatever this says, a 429 has the client
            learn a lower rate, which the next process goes on from. While a request waits for its
            turn, `flush` waits as long as it may, and says `blocked`; a shutdown ends the wait.
            Defaults to None: no limit.
        fleet_size: Devices, or other outboxes, that share `max_requests_per_minute`. The first
            request of each is made within one of the intervals that follow, as it draws.
            Defaults to 1.
        max_in_flight: Batches that may be on their way at once, each over a connection of its
            own, 1 to 64: for a backlog over a slow link. A crash may repeat so many of them, and
            they may arrive in another order. For a secret key, without an `http_session`.
            Defaults to 1.
        shutdown_timeout: Seconds for the last effort at shutdown. Defaults to 5.
        http_session: A `requests.Session` to send with, e.g. for client certificates. With it,
            `timeout` holds for each step of a request: connecting, sending, each read of the
            headers, all of the body. One of our own takes a proxy and a private CA from the
            environment (``HTTPS_PROXY``, ``REQUESTS_CA_BUNDLE``). Defaults to a new one.
        allow_insecure: Allow ``http://`` to a host that is not loopback. Defaults to False.

    Raises:
        ConfigurationError: A ValueError that names the option and its value; a key is
            never repeated.
    """

    api_url: str = field(metadata={"kind": URL})
    api_key: str = field(metadata={"kind": KEY})
    get_user: Callable[[], UserContext | None] | None = field(
        default=None, metadata={"kind": CALLABLE}
    )
    user_context_for: Callable[[str], UserContext | None] | None = field(
        default=None, metadata={"kind": CALLABLE}
    )
    before_store: Callable[[Event], Event | None] | None = field(
        default=None, metadata={"kind": PLAIN_CALLABLE}
    )
    may_send: Callable[[], bool | float] | None = field(
        default=None, metadata={"kind": PLAIN_CALLABLE}
    )
    sends: bool = field(default=True, metadata={"kind": FLAG})
    batch: bool = field(default=True, metadata={"kind": FLAG})
    batch_size: int = field(default=20, metadata={"kind": number_of("events", 1, MAX_BATCH_SIZE)})
    catch_up_batch_size: int | None = field(
        default=None, metadata={"kind": number_of("events", 1, MAX_BATCH_SIZE, is_optional=True)}
    )
    newest_share: float = field(default=0.0, metadata={"kind": SHARE})
    flush_interval: float = field(default=5.0, metadata={"kind": SECONDS_ABOVE_0})
    on_error: Callable[[SegOpsError], object] | None = field(
        default=None, metadata={"kind": CALLABLE}
    )
    timeout: float = field(default=10.0, metadata={"kind": SECONDS_ABOVE_0})
    queue_path: Path | None = field(default=None, metadata={"kind": PATH})
    durability: Durability = field(default="full", metadata={"kind": one_of("full", "normal")})
    max_queue_events: int | None = field(
        default=None, metadata={"kind": number_of("events", 1, is_optional=True)}
    )
    max_queue_bytes: int | None = field(
        default=None, metadata={"kind": number_of("bytes", 1, is_optional=True)}
    )
    max_event_bytes: int = field(default=262_144, metadata={"kind": number_of("bytes", 1)})
    overflow: Overflow = field(
        default="raise", metadata={"kind": one_of("raise", "block", "drop_oldest")}
    )
    max_age: float | None = field(default=None, metadata={"kind": SOME_SECONDS_ABOVE_0})
    overflow_timeout: float = field(default=30.0, metadata={"kind": SECONDS})
    allow_network_filesystem: bool = field(default=False, metadata={"kind": FLAG})
    lock_timeout: float = field(default=LOCK_TIMEOUT, metadata={"kind": SECONDS_ABOVE_0})
    max_retries: int = field(default=3, metadata={"kind": number_of("requests", 0, 1000)})
    max_retry_after: float = field(default=3600.0, metadata={"kind": SECONDS})
    max_requests_per_minute: int | None = field(
        default=None, metadata={"kind": number_of("requests", 1, is_optional=True)}
    )
    fleet_size: int = field(default=1, metadata={"kind": number_of("devices", 1)})
    max_in_flight: int = field(default=1, metadata={"kind": number_of("batches", 1, 64)})
    shutdown_timeout: float = field(default=5.0, metadata={"kind": SECONDS})
    http_session: requests.Session | None = field(default=None, metadata={"kind": OBJECT})
    allow_insecure: bool = field(default=False, metadata={"kind": FLAG})

    def __post_init__(self) -> None:
        for each in fields(self):
            kind_of(each).check(each.name, getattr(self, each.name))
        url = checked_url(self.api_url, allow_insecure=self.allow_insecure)
        object.__setattr__(self, "api_url", url)
        object.__setattr__(self, "queue_path", checked_path(self.queue_path))
        if self.largest_batch < self.batch_size:
            raise ConfigurationError(
                f"catch_up_batch_size must not be less than batch_size, {self.batch_size}, "
                f"got {self.catch_up_batch_size}",
                field="catch_up_batch_size",
                hint="Batches grow to it while a backlog waits; without one they are as batch_size",
            )
        if self.fleet_size > 1 and self.max_requests_per_minute is None:
            raise ConfigurationError(
                "fleet_size is a share of max_requests_per_minute, which is not set, "
                f"got {self.fleet_size}",
                field="fleet_size",
                hint="Set it to what the plan allows; without both a share is learned after a 429",
            )
        if self.max_in_flight > 1 and (self.has_public_key or self.http_session is not None):
            raise ConfigurationError(
                "max_in_flight must be 1 with a public key, or with an http_session, "
                f"got {self.max_in_flight}",
                field="max_in_flight",
                hint="Sessions, of users and of requests, are for one thread",
            )

    def __repr__(self) -> str:
        return (
            f"Options(api_url={self.api_url!r}, api_key={masked(self.api_key)!r}, "
            f"queue_path={str(self.outbox_path)!r}, durability={self.durability!r})"
        )

    @property
    def has_public_key(self) -> bool:
        """Whether the key goes through the session handshake (``pk_…``)."""
        return self.api_key.startswith("pk_")

    @property
    def largest_batch(self) -> int:
        """Events in a request while a backlog waits: `catch_up_batch_size`, or its default."""
        return self.batch_size if self.catch_up_batch_size is None else self.catch_up_batch_size

    def with_key(self, api_key: str) -> Options:
        """The same options with another key of the same kind.

        Args:
            api_key: The other key.

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
        return places.default_directory() / f"outbox-{tenant[:12]}.db"
