"""`adopt`: bring events that wait under another address or key to the outbox that is used."""

from __future__ import annotations

import sys
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from segops_durable.cli.command import FAILED, tell
from segops_durable.cli.configuration import Configuration, configured
from segops_durable.cli.elsewhere import leftovers, tell_of_other_kind
from segops_durable.cli.output import print_json, say
from segops_durable.outbox import Adopted, Leftover, Outbox, look_into

if TYPE_CHECKING:
    from collections.abc import Iterator

    from segops_durable.client import Options


@click.command()
@click.argument(
    "files",
    nargs=-1,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="[FILE]...",
)
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--json", "as_json", is_flag=True, help="Print the summary as JSON.")
@configured
def adopt(
    files: tuple[Path, ...], yes: bool, as_json: bool, config_file: str | None, **given: Any
) -> None:
    """Bring here what waits under another address or key.

    With the default path each api_url and key has an outbox of its own. After a typo was
    mended, a domain has moved or a key was replaced, this moves the events and dead letters
    of the old outbox FILE to the one of the present settings; FILE stays, empty. Batches that
    were being sent keep their keys, and events their users. If it is interrupted, run it
    again. An outbox that --queue-path names stays where it is, and is for the present settings
    from then on.

    Without FILE it is all that `status` tells of. It asks before each; where nobody can be
    asked, --yes is needed. Stop the client that sends from FILE before.

    \b
    Example:
      segops-durable adopt
      segops-durable adopt ~/.local/state/segops-durable/outbox-3f0c52e9a1b7.db --yes
    """
    configuration = Configuration(given, config_file)
    options = configuration.options()
    target = configuration.outbox_path()
    found = list(_found(files, target, options))
    if not found and not as_json:
        say("Nothing waits elsewhere.", err=True)
    if yes and not files and len(found) > 1:
        names = " ".join(str(each.path) for each in found)
        raise click.UsageError(f"there are several, and --yes says not which; name them: {names}")
    chosen = [each for each in found if yes or _is_wanted(each, options)]
    moved = [_adopt(each, target, options) for each in chosen]
    total = Adopted(sum(each.events for each in moved), sum(each.dead for each in moved))
    if as_json:
        print_json({"outbox": str(target), "events": total.events, "dead": total.dead})
    elif chosen:
        what = f"{total.events} events and {total.dead} dead letters are in {target} now"
        say(f"{what}; a client sends them, or `segops-durable drain`", err=True)
    if len(chosen) < len(found):
        sys.exit(FAILED)


def _found(files: tuple[Path, ...], target: Path, options: Options) -> Iterator[Leftover]:
    """What is to be adopted: the files that are named, or all that there is."""
    is_there = target.exists()
    if is_there and (found := look_into(target)).api_url not in {options.api_url, ""}:
        yield found
        if not files:
            return
    for path in files:
        if not is_there or not path.samefile(target):
            found = look_into(path.absolute())
            if found.problem:
                raise click.ClickException(f"{path} cannot be read: {found.problem}")
            yield found
    if not files:
        yield from (each for each in leftovers(target) if not each.problem and not each.is_sent)


def _is_wanted(found: Leftover, options: Options) -> bool:
    if not sys.stdin.isatty():
        raise click.UsageError("nobody can be asked here; give --yes to go on without a question")
    where = f"for {found.api_url}"
    if found.key_fingerprint != options.key_fingerprint:
        where += ", under another key"
    say(
        f"{found.path} has {found.waiting} events and {found.dead} dead letters, tracked {where}.",
        err=True,
    )
    key = f"{options.api_key[:3]}…"
    return click.confirm(
        f"Send them to {options.api_url} with the key that is set ({key})?", err=True
    )


def _adopt(found: Leftover, target: Path, options: Options) -> Adopted:
    source = Outbox(
        found.path,
        api_url=found.api_url,
        key_fingerprint=found.key_fingerprint,
        allow_network_filesystem=True,
    )
    with closing(source):
        try:
            if not source.sender_lock.try_acquire():
                problem = f"a client that runs sends from {found.path}. Stop it, and adopt again"
                raise click.ClickException(problem)
            if found.path.exists() and target.exists() and found.path.samefile(target):
                source.owner.rebind(options.api_url, options.key_fingerprint)
                return Adopted(found.waiting, found.dead)
            return _move(source, target, options)
        finally:
            tell(source.pop_incidents())
            source.sender_lock.release()


def _move(source: Outbox, target: Path, options: Options) -> Adopted:
    outbox = Outbox(
        target,
        api_url=options.api_url,
        key_fingerprint=options.key_fingerprint,
        allow_network_filesystem=options.allow_network_filesystem,
    )
    with closing(outbox):
        try:
            adopted = outbox.adopt(source)
            tell_of_other_kind(outbox, options)
            return adopted
        finally:
            tell(outbox.pop_incidents())
