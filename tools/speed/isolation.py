"""Runs a job in a process of its own, forked from one that has imported the package."""

from __future__ import annotations

import multiprocessing
import os
import tempfile
import traceback
from multiprocessing import forkserver
from pathlib import Path
from typing import TYPE_CHECKING, Any

from _lifetime import end_with_the_tool
from proof.shims import build

if TYPE_CHECKING:
    from collections.abc import Callable
    from multiprocessing.connection import Connection

MOST_SECONDS = 1800.0
_TOOLS = Path(__file__).parents[1]


class JobFailedError(Exception):
    """A job raised, or took too long; the text says what and where."""


def prepare(directory: Path) -> bool:
    """Set up the process that all jobs are forked from; before the first job.

    Args:
        directory: Where to build `slowsync.c`, with which a job may have slow syncs.

    Returns:
        Whether syncs can be slowed down: on Linux, with a C compiler.
    """
    library = build(directory, _TOOLS / "slowsync.c")
    before = dict(os.environ)
    if library is not None:
        os.environ["LD_PRELOAD"] = f"{before.get('LD_PRELOAD', '')} {library}".strip()
    # before Python 3.13 that process ignores the sys.path that it is given
    os.environ["PYTHONPATH"] = os.pathsep.join([str(_TOOLS), before.get("PYTHONPATH", "")])
    forkserver.set_forkserver_preload(
        ["_environment", "speed.loads", "speed.growth", "segops_durable.client.opening"]
    )
    forkserver.ensure_running()
    os.environ.pop("LD_PRELOAD", None)  # other programs are to be as they are
    os.environ |= {name: before[name] for name in before if name == "LD_PRELOAD"}
    return library is not None


def isolated(
    job: Callable[..., Any],
    *arguments: Any,  # noqa: ANN401 - whatever the job takes
    env: dict[str, str] | None = None,
    place: str | None = None,
) -> Any:  # noqa: ANN401 - whatever the job returns
    """Run a job, and return what it returns.

    Args:
        job: A function of a module; it is called with a new directory, and the arguments.
        arguments: Of the job.
        env: Variables of its environment. Defaults to none.
        place: Where its directory is made. Defaults to where temporary files go.

    Raises:
        JobFailedError: It raised, ended, or took more than half an hour.
    """
    context = multiprocessing.get_context("forkserver")
    with tempfile.TemporaryDirectory(prefix="segops-bench-", dir=place) as directory:
        ours, theirs = context.Pipe(duplex=False)
        process = context.Process(
            target=_run, args=(theirs, job, Path(directory), arguments, env or {})
        )
        process.start()
        theirs.close()
        try:
            if not ours.poll(MOST_SECONDS):
                raise JobFailedError(f"{job.__name__} took more than {MOST_SECONDS:.0f} s")
            result, problem = ours.recv()
        except EOFError:
            raise JobFailedError(f"{job.__name__} ended without a result") from None
        finally:
            process.kill()  # a client may want to send for a while yet
            process.join()
    if problem:
        raise JobFailedError(problem)
    return result


def _run(
    pipe: Connection,
    job: Callable[..., Any],
    directory: Path,
    arguments: tuple[Any, ...],
    env: dict[str, str],
) -> None:
    end_with_the_tool()
    os.environ.update(env)
    try:
        pipe.send((job(directory, *arguments), ""))
    except Exception:  # noqa: BLE001 - it is handed on
        pipe.send((None, traceback.format_exc()))
