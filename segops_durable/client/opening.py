"""What a client is opened with: loaded by the first one, and not with the package.

From then on all is there that keeps an event, sends it, mends the file and says what is wrong:
an import may fail where the disk, the descriptors or the memory are used up, or where another
version was installed meanwhile, and must not wait where a signal handler or a child of a fork asks.
Only what reads files of events is loaded when it is asked for. Who gives up rights before a client
is opened, and cannot read Python's files then, imports this before.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from segops_durable.client.closing import GRACE_SECONDS
from segops_durable.client.forks import ONE_STEP
from segops_durable.client.per_process import PerProcessDelivery
from segops_durable.client.wiring import intake_of, open_outbox, users_of
from segops_durable.outbox import find_outbox, tell_of_leftovers

if TYPE_CHECKING:
    from pathlib import Path

    from segops_durable.client.options import Options
    from segops_durable.intake import Intake
    from segops_durable.outbox import Outbox
    from segops_durable.system.clock import Clock

__all__ = ["find_outbox", "open_parts", "tell_of_leftovers"]


def open_parts(
    options: Options, path: Path, clock: Clock
) -> tuple[Outbox, Intake, PerProcessDelivery]:
    """Open an outbox, with what stores and sends; from then on it takes part in forks.

    Raises:
        StorageError: The file cannot be opened; then nothing is left open.
        ConfigurationError: The file belongs to another `api_url`.
    """
    with ONE_STEP.turn:
        outbox = open_outbox(options, path, clock)
        try:
            users = users_of(options, outbox)
            intake = intake_of(options, outbox, users, clock)
            return outbox, intake, PerProcessDelivery(options, outbox, users, clock)
        except BaseException:
            outbox.close(GRACE_SECONDS)
            raise
