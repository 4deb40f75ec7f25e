"""Write the reference of the command line, from the commands themselves.

Usage: python tools/reference.py
"""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING

import click
from _environment import ROOT

from segops_durable.cli.commands import run

if TYPE_CHECKING:
    from collections.abc import Iterator

REFERENCE = ROOT / "segops_durable" / "cli" / "REFERENCE.md"


def reference() -> str:
    """The reference, as Markdown: every command, in the order in which help lists them."""
    parts = [
        "# segops-durable: the commands",
        "<!-- tools/reference.py makes this of the commands themselves: change those. -->",
    ]
    for names, command in _commands(run, ("segops-durable",)):
        parts += _described(" ".join(names), command)
    return "\n\n".join(parts) + "\n"


def _commands(
    command: click.Command, names: tuple[str, ...]
) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    yield names, command
    if isinstance(command, click.Group):
        for name, child in command.commands.items():
            yield from _commands(child, (*names, name))


def _described(name: str, command: click.Command) -> Iterator[str]:
    context = click.Context(command, info_name=name)
    yield f"## {name}"
    yield f"    {name} {' '.join(command.collect_usage_pieces(context))}"
    text, _, example = inspect.cleandoc(command.help or "").partition("\b\nExample:\n")
    yield text.rstrip()
    options = [each for each in command.params if isinstance(each, click.Option)]
    records = [each.get_help_record(context) for each in options if each.name != "help"]
    rows = [f"- `{record[0]}`: {record[1]}" for record in records if record is not None]
    if rows:
        yield "\n".join(rows)
    if example:
        yield f"```console\n{_as_session(example)}\n```"


def _as_session(example: str) -> str:
    return "\n".join(f"$ {line.strip()}" for line in example.splitlines())


if __name__ == "__main__":
    REFERENCE.write_text(reference(), encoding="utf-8")
    print(f"written: {REFERENCE.relative_to(ROOT)}")
