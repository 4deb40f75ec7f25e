"""Runs consumers of Kafka that are killed between two steps; each in a process of its own.

To start Python for each of them would take minutes. So this is started once, reads from standard
input what to do, and forks. Nothing of librdkafka is made before that.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import segops_durable.client.opening  # noqa: F401 - once, before the forks
from segops_durable import SegOpsClient
from segops_durable.intake.messages import Rejected
from segops_durable.kafka import batches, cluster, consume, storing
from segops_durable.outbox.commit import GroupCommit
from support.kafka import TOPIC

if TYPE_CHECKING:
    from collections.abc import Callable

    from segops_durable.outbox import Entry

_STEPS: dict[str, tuple[type, str, bool]] = {
    "before the messages are read": (cluster.Cluster, "read", False),
    "after they were read": (cluster.Cluster, "read", True),
    "after the events are made": (batches.Batches, "make", True),
    "before the rejects are written": (Rejected, "append", False),
    "after the rejects are written": (Rejected, "append", True),
    "before the transaction": (storing.Storing, "store", False),
    "in the transaction, before the checkpoint": (GroupCommit, "_insert_if_it_fits", False),
    "in the transaction, after the rows": (GroupCommit, "_insert_if_it_fits", True),
    "after the commit": (GroupCommit, "_commit", True),
    "before the group is told": (cluster.Cluster, "commit", False),
    "after the group is told": (cluster.Cluster, "commit", True),
    "before it is closed": (cluster.Cluster, "close", False),
}
STEPS = (*_STEPS, "before the partitions are assigned")
APART = "between the rows and the checkpoint"


def main() -> None:
    """Serve one request a line."""
    for line in sys.stdin:
        request = json.loads(line)
        after = request.pop("after")
        child = os.fork()
        if not child:
            _consume(**request)
        if after:
            threading.Event().wait(after)
            os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)  # noqa: T201 - the answer


def _consume(
    queue_path: str, servers: str, rejects: str, step: str, count: int, *, apart: bool
) -> None:
    os.dup2(os.open(f"{queue_path}.stderr", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), 2)
    try:
        if apart:
            _store_apart(count, dies=step == APART)
        elif step:
            _kill(step, count)
        client = SegOpsClient(
            "http://127.0.0.1:9",
            "sk_test",
            queue_path=queue_path,
            flush_interval=1000,
            on_error=lambda _error: None,
        )
        config = {"bootstrap.servers": servers, "group.id": "killed", "log_level": 0}
        options: dict[str, Any] = {"batch_size": 20, "max_wait": 0.02, "until_end": True}
        consume(client, TOPIC, config=config, rejects=Path(rejects), **options)
    except BaseException as error:  # noqa: BLE001 - told, and nothing of the parent is run
        os.write(2, f"{error!r}\n".encode())
        os._exit(1)
    os._exit(0)


def _kill(step: str, count: int) -> None:
    """Have the process killed at a step, when it comes there for the n-th time."""
    if step == "before the partitions are assigned":
        where: tuple[type, str, bool] = (cluster.Cluster, "assign", False)
    else:
        where = _STEPS[step]
    of, name, is_after = where
    whole: Callable[..., Any] = getattr(of, name)
    left = [count]

    def or_die(*more: Any, **named: Any) -> Any:
        left[0] -= 1
        if left[0] == 0 and not is_after:
            os.kill(os.getpid(), signal.SIGKILL)
        found = whole(*more, **named)
        if left[0] == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return found

    setattr(of, name, or_die)


def _store_apart(count: int, *, dies: bool) -> None:
    """The mutant: a transaction for the rows, and one for the checkpoint after it."""
    append: Callable[..., Any] = GroupCommit.append_together
    left = [count]

    def apart(commit: GroupCommit, entries: list[Entry], **named: Any) -> Any:
        append(commit, [each._replace(checkpoint=None) for each in entries], **named)
        left[0] -= 1
        if left[0] == 0 and dies:
            os.kill(os.getpid(), signal.SIGKILL)
        rest = [each._replace(events=[], moments=[]) for each in entries]
        return append(commit, rest, **named)

    GroupCommit.append_together = apart  # type: ignore[method-assign, assignment]  # in this process only


if __name__ == "__main__":
    main()
