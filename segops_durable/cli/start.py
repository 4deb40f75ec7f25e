"""The way to the command line, from before it is known whether what it needs is installed."""

from __future__ import annotations

import sys
from io import TextIOWrapper

from segops_durable.cli.interruption import INTERRUPTED, end_without_traceback

_NOT_OURS = sys.stdlib_module_names | {"segops_durable"}


def main() -> None:
    """Run the command line, or say which extra it needs."""
    end_without_traceback()
    try:
        _run()
    except KeyboardInterrupt:  # before click was there to see it, or after
        sys.exit(INTERRUPTED)


def _run() -> None:
    try:
        from segops_durable.cli.commands import run  # noqa: PLC0415 - the extra may be missing
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] in _NOT_OURS:  # no extra brings that
            raise
        sys.exit(f'{error.name} is not installed; try: pip install "segops-durable[cli]"')
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):  # an encoding without the letter: shown, no crash
            stream.reconfigure(errors="backslashreplace")
    run()
