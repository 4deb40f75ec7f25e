"""What `import --dry-run` shows: what would come of files, and how long its sending would take."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple

from segops_durable.cli.output import print_json, say
from segops_durable.client import MAX_BATCH_SIZE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from segops_durable.intake.imports import Outlook


class Plan(NamedTuple):
    """What a plan of SegOps allows, as its API reference says.

    Attributes:
        requests_per_minute: API calls.
        events_per_month: Events.
    """

    requests_per_minute: int
    events_per_month: int


PLANS = {
    "free": Plan(60, 500_000),
    "starter": Plan(300, 5_000_000),
    "business": Plan(1000, 50_000_000),
}


def show_outlooks(outlooks: Sequence[Outlook], plan: str | None, *, as_json: bool) -> None:
    """Print what would come of files.

    Args:
        outlooks: What would come of each.
        plan: The plan to reckon with; None for each of them.
        as_json: Whether as JSON, for a program.
    """
    events = sum(each.stored for each in outlooks)
    requests = math.ceil(events / MAX_BATCH_SIZE)
    plans = {plan: PLANS[plan]} if plan else PLANS
    minutes = {name: math.ceil(requests / each.requests_per_minute) for name, each in plans.items()}
    if as_json:
        files = [vars(each) for each in outlooks]
        print_json({"files": files, "events": events, "requests": requests, "minutes": minutes})
        return
    for outlook in outlooks:
        _show(outlook)
    say(f"{events:,} events would be sent in {requests:,} requests of {MAX_BATCH_SIZE}")
    for name, each in plans.items():
        text = f"  plan {name}: {minutes[name]:,} min, at {each.requests_per_minute:,} a minute"
        if events > each.events_per_month:
            text += f"; it has {each.events_per_month:,} events a month"
        say(text)
    say("Nothing was stored: this was a dry run", err=True)


def _show(outlook: Outlook) -> None:
    say(outlook.plan)
    for event in outlook.events:
        print_json(event)
    before = f"; {outlook.stored_before:,} are stored already" if outlook.stored_before else ""
    say(f"{outlook.stored:,} would be stored, {outlook.rejected:,} rejected{before}")
    for bad in outlook.rejects:
        say(f"  line {bad['line']}: {bad['reason']}")
    tell_notes(outlook.notes, is_error=False)


def tell_notes(notes: dict[str, Any], *, is_error: bool = True) -> None:
    """Say what was done to values."""
    for words, count in notes.items():
        say(f"{count:,} times: {words}", err=is_error)
