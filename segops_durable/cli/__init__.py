"""The command line: ``segops-durable COMMAND``.

- `start` is the way in: the package click, which the commands need, may not be installed, and it
  says so. So they are imported when they are asked for. `interruption` is what Ctrl-C does.
- `command` is the group that they belong to; in `commands` each file is called as its command.
- `configuration` has the settings; `workspace` opens the outbox that they lead to, `standing` and
  `elsewhere` say how it and others stand, `draining` sends what waits, `diagnosis` is what
  `doctor` looks at.
- `service` is what `run` and `relay` are while they live.
- `output` prints, `prometheus` for a collector; `pairs` reads ``NAME=VALUE``. `demo` is the
  demonstration.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import click

    run: click.Group

__all__ = ["run"]


def __getattr__(name: str) -> object:
    if name == "run":
        from segops_durable.cli.commands import run  # noqa: PLC0415 - see above

        return run
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
