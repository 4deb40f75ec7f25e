"""`dead`: events that are not sent any more, and what to do with them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from segops_durable.cli.configuration import Configuration, configured
from segops_durable.cli.output import print_json, print_table, say
from segops_durable.cli.workspace import opened_outbox
from segops_durable.errors.plain_text import json_text
from segops_durable.system.private_files import replacing

if TYPE_CHECKING:
    from segops_durable.outbox import DeadLetter

_IDS = click.argument("ids", nargs=-1, type=int, metavar="[ID]...")
_JSON = click.option("--json", "as_json", is_flag=True, help="Print a line of JSON for each.")


@click.group()
def dead() -> None:
    """Look after dead letters.

    They are events that are not sent any more: SegOps refused them, or perhaps skipped them, or
    they are damaged.

    \b
    Example:
      segops-durable dead list
    """


@dead.command(name="list")
@_JSON
@configured
def list_(as_json: bool, config_file: str | None, **given: Any) -> None:
    """List all of them, oldest first.

    \b
    Example:
      segops-durable dead list --json
    """
    letters = _letters(Configuration(given, config_file))
    if as_json:
        for letter in letters:
            print_json(_fields(letter))
    elif letters:
        print_table(
            ("id", "died", "cause", "status", "reason", "event_type"),
            [
                (
                    letter.id,
                    letter.died_at.isoformat(timespec="seconds"),
                    letter.cause.value,
                    letter.status,
                    letter.reason,
                    (letter.event or {}).get("event_type"),
                )
                for letter in letters
            ],
        )
    else:
        say("There are no dead letters.", err=True)


@dead.command()
@click.argument("number", type=int, metavar="ID")
@configured
def show(number: int, config_file: str | None, **given: Any) -> None:
    """Show one, with all that is known of it, as JSON.

    \b
    Example:
      segops-durable dead show 17
    """
    for letter in _letters(Configuration(given, config_file)):
        if letter.id == number:
            print_json(_fields(letter), indent=2)
            return
    raise click.ClickException(f"there is no dead letter {number}")


@dead.command()
@_IDS
@configured
def retry(ids: tuple[int, ...], config_file: str | None, **given: Any) -> None:
    """Put dead letters back into the queue, to be sent again.

    Without IDs, those that SegOps refused or found too large, and those that expired. Others may
    have been accepted, and are put back only by their ids; damaged ones never are.

    \b
    Example:
      segops-durable dead retry 17 18
    """
    with opened_outbox(Configuration(given, config_file), mends=True) as outbox:
        count = outbox.dead_letters.retry(ids or None)
    say(f"{count} put back")


@dead.command()
@click.argument("file", type=click.Path(dir_okay=False, allow_dash=True))
@configured
def export(file: str, config_file: str | None, **given: Any) -> None:
    """Write all of them to FILE, as JSON Lines; - is standard output.

    \b
    Example:
      segops-durable dead export dead.jsonl
    """
    letters = _letters(Configuration(given, config_file))
    if file == "-":
        for letter in letters:
            print_json(_fields(letter))
    else:
        with replacing(Path(file)) as stream:
            stream.writelines(f"{json_text(_fields(each))}\n".encode() for each in letters)
    say(f"{len(letters)} exported", err=True)


@dead.command()
@_IDS
@click.option("--all", "is_all", is_flag=True, help="All of them.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@configured
def discard(
    ids: tuple[int, ...],
    is_all: bool,
    yes: bool,
    config_file: str | None,
    **given: Any,
) -> None:
    """Remove dead letters for good. It asks first.

    \b
    Example:
      segops-durable dead discard 17 --yes
    """
    if bool(ids) == is_all:
        raise click.UsageError("give IDs, or --all")
    with opened_outbox(Configuration(given, config_file), mends=True) as outbox:
        known = {letter.id for letter in outbox.dead_letters}
        chosen = sorted(known if is_all else known.intersection(ids))
        if chosen and not yes:
            click.confirm(f"Remove {len(chosen)} dead letters for good?", abort=True, err=True)
        count = outbox.dead_letters.discard(chosen)
    say(f"{count} removed")


def _letters(configuration: Configuration) -> list[DeadLetter]:
    with opened_outbox(configuration) as outbox:
        return list(outbox.dead_letters)


def _fields(letter: DeadLetter) -> dict[str, Any]:
    fields = {**vars(letter), "cause": letter.cause.value, "event": letter.event}
    data = fields.pop("data")
    if letter.event is None:
        fields["data"] = data.decode(errors="replace")
    return fields
