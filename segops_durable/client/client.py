"""`SegOpsClient`: how it begins, flushes, says how it stands, and ends."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, NoReturn

from segops_durable.client import environment
from segops_durable.client.administration import Administration
from segops_durable.client.checks import check_timeout
from segops_durable.client.closing import GRACE_SECONDS, Closing
from segops_durable.client.loop_warning import warn_of_loop
from segops_durable.client.options import Options, Overflow
from segops_durable.client.standing import stats_of
from segops_durable.client.tracking import Tracking
from segops_durable.errors import (
    SegOpsError,
    UncopyableClientError,
)
from segops_durable.system.clock import Clock
from segops_durable.system.on_demand import loading

if TYPE_CHECKING:
    import os
    from collections.abc import Callable
    from types import TracebackType

    import requests
    from typing_extensions import Self

    from segops_durable.delivery import FlushResult, Stats
    from segops_durable.events import Event
    from segops_durable.identity import UserContext
    from segops_durable.outbox import Durability


class SegOpsClient(Tracking, Administration):
    """Sends user events to SegOps, and keeps each on disk until SegOps has accepted it.

    A drop-in for the official client. Safe for use by many threads, and after a fork in
    both processes. `Options` says more of each argument.

    Args:
        api_url: Where SegOps is: an ``https`` URL, or ``http`` where the host is loopback or
            `allow_insecure` is set.
        api_key: A secret key (``sk_…``), or a public key (``pk_…``) on a device.
        get_user: For a public key: who is using the device now. Defaults to a visitor.
        user_context_for: For a public key: called with the user id of somebody whose events
            wait and who is not using the device any more, to have your backend sign afresh.
            Defaults to nobody.
        before_store: Called with each event before it reaches the disk; what it returns is
            stored, and None is not. Defaults to none.
        may_send: Asked before each round, and within a long one at each `flush_interval`, whether
            anything may be sent now. Defaults to None: always.
        sends: Whether this client ever sends; False only appends, for a web server's workers
            beside a sender that stands by itself. Defaults to True.
        batch: Collect events into batches; False sends after every call. Defaults to True.
        batch_size: Events in a request, 1 to 500. Defaults to 20.
        catch_up_batch_size: Events in a request where more than `batch_size` wait, 1 to 500, and
            not less than `batch_size`: a backlog leaves in so many fewer requests. Defaults to
            None: `batch_size`.
        newest_share: Of the batches that are sent while a backlog waits, the share that is made of
            the newest events, 0 to less than 1: 0.2 is every fifth. Defaults to 0.
        flush_interval: Seconds between two looks at the outbox. Defaults to 5.
        on_error: Called with each `SegOpsError` that delivery meets, on the flusher's thread.
            Defaults to the logger ``segops_durable``, with one line an hour for each kind of
            error.
        timeout: Seconds for all of a request. Defaults to 10.
        queue_path: The outbox file. Defaults to a file in the user's state directory, one for
            each `api_url` and key.
        durability: ``full``: an event survives a power cut once `track` has returned;
            ``normal``: a kill, but perhaps not a power cut. Defaults to ``full``.
        max_queue_events: Events that may wait at most. Defaults to None: no limit.
        max_queue_bytes: Bytes of the outbox file in use at most, dead letters included.
            Defaults to None: no limit.
        max_event_bytes: Bytes of one encoded event at most. Defaults to 262144, 256 KiB.
        overflow: What `track` does when the outbox is full: ``raise`` a `QueueFullError`;
            ``block`` until there is room, for `overflow_timeout`; or ``drop_oldest``, whatever
            their priority. Defaults to ``raise``.
        max_age: Seconds that an event may wait to be sent. Defaults to None: no limit.
        overflow_timeout: Seconds that ``block`` waits, before it raises. Defaults to 30.
        allow_network_filesystem: Allow the outbox on a network file system, whose locks may
            not hold. Defaults to False.
        lock_timeout: Seconds that a call waits for a process that holds the outbox and does
            nothing. Defaults to 5.
        max_retries: Further requests for a batch in a round after a 5xx or a broken connection.
            Defaults to 3.
        max_retry_after: Seconds that a ``Retry-After`` may ask for at most. Defaults to 3600.
        max_requests_per_minute: Requests a minute at most, spaced evenly, to stay below a rate
            limit. Defaults to None: no limit.
        fleet_size: Devices, or other outboxes, that share `max_requests_per_minute`. Defaults to 1.
        max_in_flight: Batches that may be on their way at once, each over a connection of its
            own, 1 to 64: for a backlog over a slow link. A crash may repeat so many of them, and
            they may arrive in another order. For a secret key, without an `http_session`.
            Defaults to 1.
        shutdown_timeout: Seconds for the last effort at shutdown. Defaults to 5.
        http_session: A `requests.Session` to send with, e.g. for client certificates. Defaults
            to a new one.
        allow_insecure: Allow ``http://`` to a host that is not loopback. Defaults to False.

    Raises:
        ConfigurationError: A ValueError that names the option and its value; a key is
            never repeated.
        StorageError: The outbox cannot be opened.
    """

    def __init__(
        self,
        api_url: str,
        api_key: str,
        *,
        get_user: Callable[[], UserContext | None] | None = None,
        user_context_for: Callable[[str], UserContext | None] | None = None,
        before_store: Callable[[Event], Event | None] | None = None,
        may_send: Callable[[], bool | float] | None = None,
        sends: bool = True,
        batch: bool = True,
        batch_size: int = 20,
        catch_up_batch_size: int | None = None,
        newest_share: float = 0.0,
        flush_interval: float = 5.0,
        on_error: Callable[[SegOpsError], object] | None = None,
        timeout: float = 10.0,
        queue_path: str | os.PathLike[str] | None = None,
        durability: Durability = "full",
        max_queue_events: int | None = None,
        max_queue_bytes: int | None = None,
        max_event_bytes: int = 262_144,
        overflow: Overflow = "raise",
        max_age: float | None = None,
        overflow_timeout: float = 30.0,
        allow_network_filesystem: bool = False,
        lock_timeout: float = 5.0,
        max_retries: int = 3,
        max_retry_after: float = 3600.0,
        max_requests_per_minute: int | None = None,
        fleet_size: int = 1,
        max_in_flight: int = 1,
        shutdown_timeout: float = 5.0,
        http_session: requests.Session | None = None,
        allow_insecure: bool = False,
    ) -> None:
        given: dict[str, Any] = dict(locals())  # each by its name, which is that of its option
        del given["self"]
        self._start(Options(**given))

    @classmethod
    def from_env(cls, **overrides: Any) -> Self:  # noqa: ANN401 - Options checks each
        """Make a client of ``SEGOPS_API_URL``, ``SEGOPS_API_KEY``, ``SEGOPS_QUEUE_PATH``, ….

        Args:
            **overrides: The constructor's arguments; they win over the environment.

        Raises:
            ConfigurationError: A required variable is missing, one cannot be read, or an
                argument is none.
        """
        return cls.of(environment.options_from_env(**overrides))

    @classmethod
    def of(cls, options: Options) -> Self:
        """Make a client of `Options`, which are checked already.

        Args:
            options: What the constructor's arguments would say.

        Raises:
            StorageError: The outbox cannot be opened.
        """
        client = cls.__new__(cls)
        client._start(options)  # noqa: SLF001 - its own class
        return client

    def _start(self, options: Options) -> None:
        warn_of_loop("SegOpsClient()")
        # all that keeps an event is loaded here, and not with the package, nor when it is needed
        with loading():
            from segops_durable.client import opening  # noqa: PLC0415 - see above

        path = options.queue_path or opening.find_outbox(
            options.outbox_path, options.api_url, options.key_fingerprint
        )
        self._options = replace(options, queue_path=path)
        self._clock = Clock()
        self._outbox, self._intake, self._delivery = opening.open_parts(options, path, self._clock)
        self._closing = Closing(self._outbox, options.shutdown_timeout, sends=options.sends)
        try:
            if options.queue_path is None:
                opening.tell_of_leftovers(
                    self._outbox, options.key_fingerprint, is_heard=options.on_error is not None
                )
            self._closing.at_exit_too(self._delivery, self.shutdown)
            self._delivery.start()  # last: it may tell, and `on_error` may call the client
        except BaseException:
            self._closing.not_at_exit()
            self._outbox.close(GRACE_SECONDS)
            raise

    def flush(self, timeout: float | None = None) -> FlushResult:
        """Send now, and wait until all that was stored before is settled or a round fails.

        Does not raise for what could not be sent: the result says it, and
        `FlushResult.raise_for_pending` raises it. Called on the sending thread, by `on_error`
        say, it does not wait for itself, but says at once how many events wait.

        Args:
            timeout: Seconds to wait at most. Defaults to as long as a round takes.

        Raises:
            ConfigurationError: The timeout is no number.
            StorageError: The outbox cannot be read; or a signal handler called this in the
                middle of `track`.
            ClosedError: The client is shut down.
        """
        self._check_open()
        check_timeout(timeout)
        if self._waits:
            warn_of_loop("SegOpsClient.flush()")
        return self._delivery.current.flushing.flush(timeout)

    def shutdown(self, timeout: float | None = None) -> FlushResult:
        """Make one last effort to send, then stop. What is left waits on disk.

        Safe to call twice; the second call returns the first one's result, or, if that one was
        interrupted, completes it. At a normal interpreter exit the same is done for a client
        that was not shut down. Called on the sending thread, by `on_error` say, it makes no
        effort and does not wait: that thread ends with the call that it is in.

        Args:
            timeout: Seconds for all of it, but for a quarter of a second in which a request
                that is under way may be answered. Defaults to the option `shutdown_timeout`.

        Raises:
            ConfigurationError: The timeout is no number; the client is still open.
            StorageError: The outbox cannot be read; or a signal handler called this in the
                middle of `track`, and then the client is still open, or of a shutdown.
        """
        return self._closing.run(timeout)

    def close(self) -> None:
        """Shut down; for code that closes things."""
        self.shutdown()

    def stats(self) -> Stats:
        """Say how the client and its outbox stand; cheap, however much waits.

        Raises:
            ClosedError: The client is shut down.
        """
        parts = (self._outbox, self._delivery.current, self._clock)
        return stats_of(*parts, screened_out=self._intake.screened_out)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.shutdown()

    def __repr__(self) -> str:
        return f"SegOpsClient({self._options!r})"

    def __reduce__(self) -> NoReturn:
        """Refuse to be pickled or copied: a copy would lack the threads, locks and files.

        Raises:
            UncopyableClientError: Always.
        """
        raise UncopyableClientError(
            "a SegOpsClient cannot be pickled, copied, or given to another process",
            hint="Give away what it is made with, and have the other make a client of its own: "
            "with the same queue_path they share one outbox. A forked child just uses its own",
        )
