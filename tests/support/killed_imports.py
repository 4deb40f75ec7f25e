"""Runs imports that are killed between two transactions; each in a process of its own.

To start Python and pyarrow for each of a thousand imports would take minutes. So this is started
once, reads what to import from standard input, and forks.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from typing import TYPE_CHECKING, Any

import pyarrow.parquet  # noqa: F401 - once, before the forks

from segops_durable.cli.commands import run
from segops_durable.intake.imports import Importer, Prepared
from segops_durable.intake.intake import Intake

if TYPE_CHECKING:
    from collections.abc import Callable


def main() -> None:
    """Serve one request a line."""
    for line in sys.stdin:
        request = json.loads(line)
        child = os.fork()
        if not child:
            _import(**request)
        _, status = os.waitpid(child, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)  # noqa: T201 - the answer


def _import(words: list[str], env: dict[str, str], given: str, when: str, rows: int) -> None:
    os.environ.update(env)
    for descriptor, path, mode in (
        (0, given or os.devnull, os.O_RDONLY),
        (1, os.devnull, os.O_WRONLY),
        (2, f"{env['HOME']}/stderr", os.O_WRONLY | os.O_CREAT | os.O_APPEND),
    ):
        os.dup2(os.open(path, mode, 0o600), descriptor)
    sys.stdin = open(0, encoding="utf-8", closefd=False)  # noqa: SIM115 - a descriptor
    _make_small(rows)
    if when:
        _kill(when)
    try:
        run(words)
    except SystemExit as end:
        os._exit(end.code if isinstance(end.code, int) else 1)
    finally:
        os._exit(70)


def _make_small(rows: int) -> None:
    """Let a transaction have few records."""
    whole: Callable[..., Prepared] = Importer.prepare

    def prepare_small(importer: Importer, source: Any, *more: Any, **named: Any) -> Prepared:
        source.most_rows = rows
        return whole(importer, source, *more, **named)

    Importer.prepare = prepare_small  # type: ignore[method-assign, assignment]  # in this process only


def _kill(when: str) -> None:
    """Let the process be killed after its first transaction, or right before its second."""
    append = Intake.append
    count = 0

    def append_or_die(intake: Intake, *more: Any, **named: Any) -> None:
        nonlocal count
        count += 1
        if count == {"at once": 1, "before": 2}.get(when):
            os.kill(os.getpid(), signal.SIGKILL)
        append(intake, *more, **named)
        if when == "after":
            os.kill(os.getpid(), signal.SIGKILL)

    Intake.append = append_or_die  # type: ignore[method-assign, assignment]  # in this process only


if __name__ == "__main__":
    main()
