"""`export` and `load`: events in files that are carried to another device."""

from __future__ import annotations

import gzip
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, cast

import click

from segops_durable.cli.configuration import Configuration, configured
from segops_durable.cli.elsewhere import tell_of_other_kind
from segops_durable.cli.output import print_json, say
from segops_durable.cli.workspace import opened_outbox, workspace
from segops_durable.errors import InvalidEventError
from segops_durable.intake.imports import bounded_lines, longest_line, pages
from segops_durable.outbox import Place, check_line, not_exported, read_line
from segops_durable.system.private_files import replacing

if TYPE_CHECKING:
    from collections.abc import Iterator

    from segops_durable.intake.imports import Line

_PAGE_LINES = 500
_PAGE_BYTES = 4 << 20


@click.command()
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--remove", is_flag=True, help="Remove from the outbox what is safely in FILE.")
@configured
def export(file: Path, remove: bool, config_file: str | None, **given: Any) -> None:
    """Write what waits to a file.

    It is to be carried to another device, and loaded there. JSON Lines; gzip if the name ends
    in .gz. With --remove the events leave this outbox once the file is on disk, so that a
    device that comes online after all does not send them too.

    \b
    Example:
      segops-durable export /media/usb/kiosk-7.jsonl.gz --remove
    """
    with opened_outbox(Configuration(given, config_file), mends=remove) as outbox:
        if remove and not outbox.sender_lock.try_acquire():
            raise click.ClickException(
                "a client that runs may be sending these events. Stop it, and export again"
            )
        last_id = outbox.waiting.counts().last_id
        with _new_file(file) as stream:
            written = sum(1 for line in outbox.transfer.export(last_id) if stream.write(line))
        removed = outbox.transfer.remove_exported(last_id) if remove else 0
    what = f", {removed} removed here" if remove else ", which still wait here as well"
    say(f"{written} exported to {file}{what}", err=True)


@click.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--adopt", is_flag=True, help="Take what is for another api_url: it has moved here.")
@click.option("--json", "as_json", is_flag=True, help="Print the summary as JSON.")
@configured
def load(file: Path, adopt: bool, as_json: bool, config_file: str | None, **given: Any) -> None:
    """Store what export wrote.

    A FILE that is loaded twice, or in part and then again, is stored once.

    \b
    Example:
      segops-durable load /media/usb/kiosk-7.jsonl.gz && segops-durable drain
    """
    place = Place()
    with workspace(Configuration(given, config_file)) as target, _reading(file) as stream:
        largest = target.options.max_event_bytes
        for lines in _exported_lines(stream, str(file), largest):
            place = target.outbox.transfer.load(lines, place, is_adopted=adopt)
        tell_of_other_kind(target.outbox, target.options)
    if as_json:
        print_json({"loaded": place.loaded, "known": place.known})
    else:
        say(f"{place.loaded} loaded, {place.known} were here already", err=True)


@contextmanager
def _new_file(file: Path) -> Iterator[IO[bytes]]:
    """Write a file that is there as a whole, on disk, or not at all."""
    with replacing(file) as raw:
        if file.suffix == ".gz":
            with gzip.open(raw, "wb") as packed:
                yield cast("IO[bytes]", packed)
        else:
            yield raw


def _exported_lines(stream: IO[bytes], name: str, largest: int) -> Iterator[list[bytes]]:
    """Yield lines to load, some at a time, each checked as if it came from a caller.

    Raises:
        ConfigurationError: One is none that `export` writes, or cannot be sent.
    """
    numbers = count(1)
    for page in pages(bounded_lines(stream, longest_line(largest)), _PAGE_LINES, _PAGE_BYTES):
        for line in page:
            _check(line, name, next(numbers), largest)
        yield [line.data for line in page]


def _check(line: Line, name: str, number: int, largest: int) -> None:
    if not line.is_whole:
        problem = f"is longer than any event may be, {line.size} bytes"
        raise not_exported(name, number, InvalidEventError("line", problem, line.data))
    try:
        check_line(read_line(line.data), largest)
    except InvalidEventError as error:
        raise not_exported(name, number, error) from None


@contextmanager
def _reading(file: Path) -> Iterator[IO[bytes]]:
    with file.open("rb") as raw:
        if file.suffix == ".gz":
            with gzip.open(raw) as plain:
                try:
                    yield cast("IO[bytes]", plain)
                except EOFError as error:
                    raise click.ClickException(f"{file} is cut off: {error}") from error
        else:
            yield raw
