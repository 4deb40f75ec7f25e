"""`consume`: the events of a topic of Kafka, for as long as it runs."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from segops_durable.cli.command import FAILED
from segops_durable.cli.commands.field_options import FIELD_OPTIONS, field_map_of, with_options
from segops_durable.cli.commands.import_sending import sending
from segops_durable.cli.commands.import_summary import counts_of, tell_counts
from segops_durable.cli.commands.sending_options import client_options_of, sending_options
from segops_durable.cli.configuration import Configuration, configured
from segops_durable.cli.draining import tell_left
from segops_durable.cli.interruption import stopped_by_signals, terminated_in_order
from segops_durable.cli.output import print_json, say
from segops_durable.cli.pairs import name_and_value
from segops_durable.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable

    from segops_durable.errors import SegOpsError
    from segops_durable.kafka import ConsumeResult

_EXTRA = 'this command needs: pip install "segops-durable[cli,kafka]"'
_COUNTED = ("stored", "rejected", "dropped", "tombstones", "lost")
_PASSED_ON = ("topic", "start", "on_gap", "until_end", "rejects", "max_errors")
_F = TypeVar("_F", bound="Callable[..., Any]")


_KAFKA_OPTIONS = (
    click.option("--brokers", metavar="HOST:PORT,…", help="Where Kafka is."),
    click.option("--topic", multiple=True, required=True, metavar="NAME", help="One, or several."),
    click.option("--group", metavar="NAME", help="Told the offsets, for displays of its lag."),
    click.option(
        "--kafka-config",
        metavar="FILE",
        help="Settings of librdkafka, a line NAME=VALUE for each: sasl.password, ssl.….",
    ),
    click.option(
        "--start",
        type=click.Choice(["earliest", "latest", "group"]),
        default="earliest",
        show_default=True,
        help="Where to begin with what this outbox has nothing of.",
    ),
    click.option(
        "--share",
        metavar="NUMBER/HOSTS",
        help="This host's share of the partitions: 0/3, 1/3 or 2/3. Defaults to all.",
    ),
    click.option(
        "--on-gap",
        type=click.Choice(["raise", "skip"]),
        default="raise",
        show_default=True,
        help="Stop where messages were deleted unread, or tell of it and go on.",
    ),
    click.option("--until-end", is_flag=True, help="End at the end, once all is sent."),
    click.option(
        "--rejects",
        metavar="FILE",
        help="Messages that are no events. Without it, it stops at the first one.",
    ),
    click.option(
        "--max-errors",
        type=click.IntRange(0),
        help="Messages that may be none. Defaults to any with --rejects.",
    ),
    click.option(
        "--max-queue-events",
        type=click.IntRange(1),
        metavar="N",
        help="Events that may wait, at which it pauses. Defaults to 100,000.",
    ),
)


def _all_options(command: _F) -> _F:
    return with_options((*_KAFKA_OPTIONS, *FIELD_OPTIONS, *sending_options()), command)


@click.command()
@_all_options
@click.option("--json", "as_json", is_flag=True, help="Print the summary as JSON.")
@configured
def consume(as_json: bool, config_file: str | None, **given: Any) -> None:
    """Store the events of a topic of Kafka, and send them.

    It runs until a Ctrl-C or a SIGTERM, which end it in order, or with --until-end until each
    partition was read to its end. Killed at any instant and run again, it goes on where it was:
    the offsets are stored in the outbox, with the events, and each message is queued once.

    A message's value is a JSON object, whose entries are what --map says; --map may name also
    kafka.key, kafka.timestamp, kafka.topic, kafka.partition, kafka.offset and kafka.header.NAME.
    Several processes need a --share each, the same at each start, and an outbox each.

    While 100,000 events wait (--max-queue-events) it pauses: the messages are safe in Kafka as
    long as that keeps them. Messages that are no events go to the file of --rejects, can be
    mended there, and imported with `import --rejected`.

    Status 1 if it could not go on; with --until-end also if messages were rejected, or something
    waits or was refused.

    \b
    Example:
      segops-durable consume --brokers broker:9092 --topic clicks --map user_id=user
      segops-durable consume --brokers broker:9092 --topic clicks --until-end --json
    """
    field_map = field_map_of(given)
    asked = _asked_of(given)
    chosen = {**client_options_of(given), "on_error": _tell}
    consume_topics = _library()
    with sending(Configuration(given, config_file), chosen) as sender:
        with stopped_by_signals() as stop:
            result = consume_topics(sender.client, field_map=field_map, stop=stop, **asked)
        is_whole = asked["until_end"] and not stop.is_set()
        with terminated_in_order():
            drained = sender.finished(is_shown=not as_json) if is_whole else None
        counts = counts_of(drained) or sender.counts()
    if as_json:
        print_json({name: getattr(result, name) for name in _COUNTED} | counts)
    else:
        say(_summary(result), err=True)
        tell_counts(counts)
    if drained is not None:
        tell_left(drained)
    is_left = result.rejected or counts["waiting"] or counts.get("refused")
    if asked["until_end"] and (is_left or not is_whole):
        sys.exit(FAILED)


def _library() -> Callable[..., ConsumeResult]:
    try:
        from segops_durable.kafka import consume as found  # noqa: PLC0415 - of an extra
    except ImportError as error:
        raise click.ClickException(_EXTRA) from error
    return found


def _asked_of(given: dict[str, Any]) -> dict[str, Any]:
    """The arguments of `segops_durable.kafka.consume` in what was given, taken out of there."""
    asked = {name: given.pop(name) for name in _PASSED_ON}
    config = _config_of(given.pop("kafka_config"))
    for name, value in (
        ("bootstrap.servers", given.pop("brokers")),
        ("group.id", given.pop("group")),
    ):
        if value is not None:
            config[name] = value
    if not config.keys() & {"bootstrap.servers", "metadata.broker.list"}:
        raise click.UsageError("Missing option '--brokers', or bootstrap.servers in --kafka-config")
    return {**asked, "config": config, "share": _share_of(given.pop("share"))}


def _config_of(file: str | None) -> dict[str, str]:
    """The settings of librdkafka in a file; what is wrong with it is told without its values."""
    found: dict[str, str] = {}
    try:
        text = "" if file is None else Path(file).read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        raise ConfigurationError(
            f"the file {file} cannot be read: {error}", field="kafka_config"
        ) from None
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        name, value = name_and_value(line) or ("", "")
        if not name.strip():
            raise click.UsageError(f"line {number} of {file} must be NAME=VALUE")
        found[name.strip()] = value.strip()
    return found


def _share_of(text: str | None) -> tuple[int, int] | None:
    if text is None:
        return None
    number, _, hosts = text.partition("/")
    if not (number.isdecimal() and hosts.isdecimal()):
        raise click.UsageError(f"--share must be NUMBER/HOSTS, as 0/3, got {text!r}")
    return int(number), int(hosts)


def _summary(result: ConsumeResult) -> str:
    counts = {name: getattr(result, name) for name in _COUNTED}
    shown = (name for name, count in counts.items() if count or name in _COUNTED[:2])
    return ", ".join(f"{counts[name]:,} {name}" for name in shown)


def _tell(error: SegOpsError) -> None:
    """Say what happened when it happens: a service has no end to tell it at."""
    say(f"Note: {error}", err=True)
