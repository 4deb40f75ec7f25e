"""What the calls to a client have in common."""

from __future__ import annotations

from typing import TYPE_CHECKING

from segops_durable.errors import ClosedError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from segops_durable.api import Watch
    from segops_durable.client.closing import Closing
    from segops_durable.client.options import Options
    from segops_durable.client.per_process import PerProcessDelivery
    from segops_durable.intake import Intake
    from segops_durable.outbox import Outbox
    from segops_durable.system.clock import Clock


class Opened:
    """A client's parts, and that it is open.

    `_waits` says that its calls wait for a disk or a network.
    """

    _waits = True

    _options: Options
    _closing: Closing
    _clock: Clock
    _outbox: Outbox
    _intake: Intake
    _delivery: PerProcessDelivery

    def _look_on(
        self, watch: Watch, before_append: Callable[[Sequence[bytes]], object] | None
    ) -> None:
        """Have each request looked on at, from now on, and each event before it is stored."""
        self._delivery.look_on(watch)
        self._intake.before_append = before_append

    def _show_to(self, viewer: Watch | None) -> None:
        """Have each request shown to somebody who looks now, in this process."""
        self._delivery.current.show_to(viewer)

    def _check_open(self) -> None:
        if self._closing.has_begun:
            raise ClosedError("the client is shut down", hint="Make a new SegOpsClient")
