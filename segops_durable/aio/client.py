"""`AsyncSegOpsClient`: how it begins, flushes, says how it stands, and ends."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NoReturn

from segops_durable.aio.administration import AsyncAdministration
from segops_durable.aio.loops import current_loop
from segops_durable.aio.own_thread import on_own_thread
from segops_durable.aio.tracking import AsyncTracking
from segops_durable.aio.writer import Writers
from segops_durable.client import Options, Overflow, check_timeout, options_from_env
from segops_durable.delivery import FlushResult, Stats
from segops_durable.errors import UncopyableClientError

if TYPE_CHECKING:
    import os
    from collections.abc import Callable
    from types import TracebackType

    import requests
    from typing_extensions import Self

    from segops_durable.errors import SegOpsError
    from segops_durable.events import Event
    from segops_durable.identity import UserContext
    from segops_durable.outbox import Durability


class AsyncSegOpsClient(AsyncTracking, AsyncAdministration):
    """Sends user events to SegOps, and keeps each on disk until SegOps has accepted it.

    What `SegOpsClient` is, for tasks of asyncio (uvloop, too) or trio: the same guarantees, and
    the same arguments, which its docstring has each with its unit and default. An event loop waits
    for neither a disk nor the network. The constructor touches nothing: the outbox is opened by
    `start`, ``async with``, or the first call.

    `get_user` and `before_store` are called when an event is tracked, in the task that tracks it,
    with its context variables; they must not block. `on_error`, `may_send`, `user_context_for`, and
    `get_user` when a session is opened, are called on the sending thread, where no context
    variable is set.

    Any loop may track; the one that first used the client shuts it down, or, once that is closed,
    the next. In a child of a fork it goes on with threads of its own.

    Raises:
        ConfigurationError: A ValueError that names the option and its value; a key is
            never repeated.
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
        self._begin(Options(**given))

    @classmethod
    def from_env(cls, **overrides: Any) -> AsyncSegOpsClient:  # noqa: ANN401 - Options checks each
        """Make a client of ``SEGOPS_API_URL``, ``SEGOPS_API_KEY``, ``SEGOPS_QUEUE_PATH``, ….

        Args:
            **overrides: The constructor's arguments; they win over the environment.

        Raises:
            ConfigurationError: A required variable is missing, one cannot be read, or an
                argument is none.
        """
        return cls.of(options_from_env(**overrides))

    @classmethod
    def of(cls, options: Options) -> Self:
        """Make a client of `Options`, which are checked already.

        Args:
            options: What the constructor's arguments would say.
        """
        client = cls.__new__(cls)
        client._begin(options)  # noqa: SLF001 - its own class
        return client

    def _begin(self, options: Options) -> None:
        self._options = options
        self._writers = Writers(options)
        self._is_closed = False
        self._home = None

    async def start(self) -> None:
        """Open the outbox, and start to send what waits there; nothing, if that is done.

        The first call of any kind does it as well: here its errors come where they are expected.
        Cancelled, it stops waiting only.

        Raises:
            StorageError: The outbox cannot be opened. Another call tries again.
            ConfigurationError: The file belongs to another `api_url`, or is no outbox.
            ClosedError: The client is shut down.
        """
        await self._open()

    async def flush(self, timeout: float | None = None) -> FlushResult:
        """Send now, and wait until all that was stored before is settled or a round fails.

        Does not raise for what could not be sent: the result says it, and
        `FlushResult.raise_for_pending` raises it. Cancelled, it stops waiting only.

        Args:
            timeout: Seconds to wait at most. Defaults to as long as a round takes.

        Raises:
            ConfigurationError: The timeout is no number.
            StorageError: The outbox cannot be read.
            ClosedError: The client is shut down.
            NoThreadError: No thread can be started to wait on.
        """
        return await self._run(lambda inner: inner.flush(timeout))

    async def shutdown(self, timeout: float | None = None) -> FlushResult:
        """Make one last effort to send, then stop. What is left waits on disk.

        What was tracked before is stored first. Safe to call twice, and before `start`. Cancelled,
        it stops waiting only. At a normal interpreter exit the same is done for a client that was
        not shut down.

        Args:
            timeout: Seconds for all of it, but for a quarter of a second in which a request
                that is under way may be answered. Defaults to the option `shutdown_timeout`.

        Raises:
            ConfigurationError: The timeout is no number; the client is still open.
            WrongLoopError: It is at home in another loop, which is not closed; it is still open.
            StorageError: The outbox cannot be read.
            NoThreadError: No thread can be started to wait on; call it again.
        """
        check_timeout(timeout)
        loop = current_loop()
        self._check_home(loop)
        self._is_closed = True
        if not self._writers.is_used_here:
            return FlushResult(sent=0, pending=0, dead=0, blocked=False)
        writer = self._writers.here()
        writer.hand_over()
        return await on_own_thread(loop, "segops-shutdown", lambda: writer.shut_down(timeout))

    async def close(self) -> None:
        """Shut down; for code that closes things."""
        await self.shutdown()

    async def aclose(self) -> None:
        """Shut down; for `contextlib.aclosing`."""
        await self.shutdown()

    async def stats(self) -> Stats:
        """Say how the client and its outbox stand; cheap, however much waits.

        Raises:
            StorageError: The outbox cannot be read.
            ClosedError: The client is shut down.
            NoThreadError: No thread can be started to read on.
        """
        return await self._run(lambda inner: inner.stats())

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.shutdown()

    def __repr__(self) -> str:
        return f"AsyncSegOpsClient({self._options!r})"

    def __reduce__(self) -> NoReturn:
        """Refuse to be pickled or copied: a copy would lack the threads, locks and files.

        Raises:
            UncopyableClientError: Always.
        """
        raise UncopyableClientError(
            "an AsyncSegOpsClient cannot be pickled, copied, or given to another process",
            hint="Give away what it is made with, and have the other make a client of its own: "
            "with the same queue_path they share one outbox. A forked child just uses its own",
        )
