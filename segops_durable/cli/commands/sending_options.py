"""How a command sends what it stores meanwhile."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

import click

from segops_durable.cli.hours import at_hours, may_send_at

if TYPE_CHECKING:
    from collections.abc import Callable

_F = TypeVar("_F", bound="Callable[..., Any]")


def sending_options(when: str = "") -> tuple[Callable[[_F], _F], ...]:
    """The options.

    Args:
        when: What each says first, of when it holds. Defaults to nothing.
    """
    return (
        click.option(
            "--batch-size",
            type=click.IntRange(1, 500),
            default=500,
            show_default=True,
            help=f"{when}Events in a request.",
        ),
        click.option(
            "--connections",
            type=click.IntRange(1, 64),
            help=f"{when}Batches on their way at once, as of `drain`. Defaults to max_in_flight.",
        ),
        click.option(
            "--max-requests-per-minute",
            type=click.IntRange(1),
            metavar="N",
            help=f"{when}Requests a minute at most, to stay below a plan's rate.",
        ),
        at_hours,
    )


def client_options_of(given: dict[str, Any]) -> dict[str, Any]:
    """The client's options of what was given, taken out of there."""
    connections = given.pop("connections")
    return {
        "batch_size": given.pop("batch_size"),
        "may_send": may_send_at(given.pop("only_between")),
        **({} if connections is None else {"max_in_flight": connections}),
    }
