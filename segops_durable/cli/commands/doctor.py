"""`doctor`: what may be wrong with an outbox, the machine or the way to SegOps, and the mend."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

from segops_durable.cli.command import FAILED
from segops_durable.cli.configuration import NO_KEY, Configuration, configured
from segops_durable.cli.diagnosis.finding import Finding, Grade
from segops_durable.cli.diagnosis.machine import look_at_clock
from segops_durable.cli.diagnosis.outbox import look_at_outbox, look_for_leftovers, scanned
from segops_durable.cli.diagnosis.server import look_at_server
from segops_durable.cli.output import print_json, say
from segops_durable.cli.workspace import opened_outbox
from segops_durable.client import mistyped_variables
from segops_durable.errors import ConfigurationError, SegOpsError
from segops_durable.outbox import places
from segops_durable.system.trusted_paths import real_path

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_CHOOSE = "Mend the key, or choose with --queue-path"


@dataclass(frozen=True)
class _Chosen:
    """Which file is looked at; None where nothing says it, and perhaps why."""

    path: Path | None
    problem: SegOpsError | None = None


@click.command()
@click.option("--repair", is_flag=True, help="Set a damaged file aside, and go on with the rest.")
@click.option("--offline", is_flag=True, help="Leave out what needs the network.")
@click.option("--json", "as_json", is_flag=True, help="Print a line of JSON for each check.")
@configured
def doctor(
    repair: bool,
    offline: bool,
    as_json: bool,
    config_file: str | None,
    **given: Any,
) -> None:
    """Find what is wrong, and the mend.

    It checks the outbox, the machine and the way to SegOps, with a line for each. It sends no
    event, and changes nothing without --repair. Status 1 if a check failed.

    \b
    Example:
      segops-durable doctor
      segops-durable doctor --repair
    """
    problems: list[ConfigurationError] = []
    chosen = Configuration(given, config_file, on_problem=problems.append)
    configuration, wrong = chosen.without_wrong()
    problems += wrong
    place = _place(configuration)
    if place.path is not None:
        configuration = configuration.at(place.path)
    if repair and place.path is not None and place.path.exists():
        _repair(configuration, place.path)
    findings = list(_findings(configuration, place, problems, is_offline=offline))
    for each in findings:
        if as_json:
            print_json({**vars(each), "grade": each.grade.value})
        else:
            mend = f" -> {each.mend}" if each.mend else ""
            say(f"{each.grade.value:6}  {each.check}: {each.text}{mend}")
    if any(each.grade is Grade.FAILED for each in findings):
        sys.exit(FAILED)


def _place(configuration: Configuration) -> _Chosen:
    try:
        found = configuration.outbox_path()
        is_of_no_key = configuration.value("api_key", "") == NO_KEY
        if is_of_no_key and "queue_path" not in configuration.settings:
            # which of them it is, only the key could say
            others = places.outboxes_in(places.default_directory())
            if len(others) != 1:
                return _Chosen(None)
            found = others[0]
        return _Chosen(real_path(found))
    except SegOpsError as error:
        return _Chosen(None, error)


def _findings(
    configuration: Configuration,
    place: _Chosen,
    problems: list[ConfigurationError],
    *,
    is_offline: bool,
) -> Iterator[Finding]:
    yield look_at_clock()
    if place.path is not None:
        yield from look_at_outbox(configuration, place.path)
        yield from look_for_leftovers(configuration, place.path)
    elif place.problem is not None:
        yield Finding("outbox", Grade.FAILED, place.problem.message, place.problem.hint)
    else:
        yield Finding("outbox", Grade.NOTE, "which it is, only a key says", _CHOOSE)
    for each in problems:
        yield Finding("settings", Grade.FAILED, each.message, each.hint)
    for variable, meant in mistyped_variables().items():
        text = f"the environment variable {variable} is none of ours"
        yield Finding("settings", Grade.NOTE, text, f"Is {meant} meant?")
    try:
        options = configuration.options(queue_path=place.path)
    except ConfigurationError:  # one that has no default is not set: it is among the problems
        return
    if not problems:
        yield Finding("settings", Grade.OK, f"{options.api_url}, a {options.api_key[:3]} key")
    if not is_offline:
        yield from look_at_server(options)


def _repair(configuration: Configuration, path: Path) -> None:
    """Have a damaged file replaced by what can be read of it; give up what says nothing."""
    with opened_outbox(configuration, mends=True) as outbox:
        left = scanned(path)[2]  # empty, where opening has noticed and mended it
        if left:
            outbox.repair(left)
        given_up = outbox.give_up_damaged()
    for name in given_up.jobs:
        say(f"The place of the job {name} was given up: it begins anew")
    for name in given_up.loaded:
        say(f"What was loaded from {name} was given up: loaded again, it is stored again")
