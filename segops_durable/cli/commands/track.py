"""`track` and `identify`: one event from a shell script, on disk when they return."""

from __future__ import annotations

import json
import sys
from typing import Any

import click

from segops_durable.cli.command import FAILED
from segops_durable.cli.configuration import Configuration, configured
from segops_durable.cli.draining import deliver
from segops_durable.cli.pairs import name_and_value
from segops_durable.cli.workspace import workspace
from segops_durable.errors import InvalidEventError
from segops_durable.events import PRIORITIES, Event, make_event, make_identify_event

_FLUSH = click.option("--flush", is_flag=True, help="Send it now, and wait. Status 1 if it waits.")
_PRIORITY = click.option(
    "--priority",
    type=click.Choice(PRIORITIES),
    help="Which of the events that wait leave first. Defaults to normal.",
)
_TIMEOUT = click.option(
    "--timeout", default=30.0, show_default=True, help="Seconds that --flush waits at most."
)


@click.command()
@click.argument("user_id")
@click.argument("event_type")
@click.argument("properties", nargs=-1, metavar="[NAME=VALUE]...")
@click.option("--payload", metavar="JSON", help="All properties at once, as a JSON object.")
@click.option("--occurred-at", metavar="TIME", help="ISO 8601 with a zone. Defaults to now.")
@_PRIORITY
@_FLUSH
@_TIMEOUT
@configured
def track(
    user_id: str,
    event_type: str,
    properties: tuple[str, ...],
    payload: str | None,
    occurred_at: str | None,
    priority: str | None,
    flush: bool,
    timeout: float,
    config_file: str | None,
    **given: Any,
) -> None:
    """Store an event on disk.

    It is there when this returns, and is sent by the next client that runs. A VALUE is JSON where
    it can be read as such (3, true, "3"), and else a text.

    \b
    Example:
      segops-durable track user-123 door_opened door=north seconds=3
      segops-durable track user-123 page_viewed --payload '{"screen": "Pricing"}' --flush
    """
    event = make_event(
        user_id=user_id,
        event_type=event_type,
        occurred_at=occurred_at,
        payload=_fields(properties, payload),
        priority=priority,
    )
    _store(Configuration(given, config_file), event, timeout if flush else None)


@click.command()
@click.argument("user_id")
@click.argument("traits", nargs=-1, metavar="[NAME=VALUE]...")
@click.option("--traits", "as_json", metavar="JSON", help="All traits at once, as a JSON object.")
@_PRIORITY
@_FLUSH
@_TIMEOUT
@configured
def identify(
    user_id: str,
    traits: tuple[str, ...],
    as_json: str | None,
    priority: str | None,
    flush: bool,
    timeout: float,
    config_file: str | None,
    **given: Any,
) -> None:
    """Store what is known of a user.

    It is on disk when this returns, as a context_identified event.

    \b
    Example:
      segops-durable identify user-123 plan=starter seats=3
    """
    event = make_identify_event(None, user_id, _fields(traits, as_json), priority=priority)
    _store(Configuration(given, config_file), event, timeout if flush else None)


def _store(configuration: Configuration, event: Event, timeout: float | None) -> None:
    with workspace(configuration) as here:
        here.intake.store([event], here.listener)
    if timeout is not None and deliver(configuration, timeout=timeout, is_told=True):
        sys.exit(FAILED)


def _fields(pairs: tuple[str, ...], as_json: str | None) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if as_json is not None:
        try:
            found = json.loads(as_json)
        except (ValueError, RecursionError) as error:
            raise InvalidEventError("payload", f"must be JSON ({error})", as_json) from None
        if not isinstance(found, dict):
            raise InvalidEventError("payload", "must be a JSON object", as_json)
    for pair in pairs:
        sides = name_and_value(pair)
        if sides is None:
            raise InvalidEventError("payload", "must be NAME=VALUE", pair)
        found[sides[0]] = _value(sides[1])
    return found


def _value(text: str) -> Any:
    try:
        return json.loads(text, parse_constant=str)
    except (ValueError, RecursionError):
        return text
