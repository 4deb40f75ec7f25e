"""Events that wait in other outboxes than the one that is looked at, for commands to tell."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from segops_durable.cli.output import say
from segops_durable.client import REQUIRED
from segops_durable.outbox import find_leftovers

if TYPE_CHECKING:
    from pathlib import Path

    from segops_durable.cli.configuration import Configuration
    from segops_durable.client import Options
    from segops_durable.errors import StrandedEventsError
    from segops_durable.outbox import Leftover, Outbox


def leftovers(path: Path) -> list[Leftover]:
    """The default outboxes but for `path` that hold something, or cannot be read."""
    return list(find_leftovers(path, is_thorough=True))


def as_error(leftover: Leftover, configuration: Configuration) -> StrandedEventsError:
    """What to tell of one, as far as the settings say for whom."""
    if configuration.settings.keys() >= set(REQUIRED):
        options = configuration.options()
        return leftover.as_error(options.api_url, options.key_fingerprint)
    return leftover.as_error("", "")


def tell_of_leftovers(configuration: Configuration, found: list[Leftover]) -> None:
    """Say on standard error where else events wait, and what moves them."""
    for each in found:
        is_sent = " (a client is sending them)" if each.is_sent else ""
        say(f"Note: {as_error(each, configuration)}{is_sent}", err=True)


def tell_of_other_kind(outbox: Outbox, options: Options) -> None:
    """Say how many events of an outbox wait for the other kind of key than is set."""
    public = outbox.waiting.count_public()
    others = outbox.waiting.counts().pending - public if options.has_public_key else public
    if others > 0:
        begins = "sk_" if options.has_public_key else "pk_"
        what = f"{others} events were tracked under a {begins}… key"
        say(f"Note: {what}, and wait for a client that has one", err=True)


def as_document(found: list[Leftover]) -> list[dict[str, Any]]:
    """The same for programs."""
    return [
        {
            "outbox": str(each.path),
            "api_url": each.api_url or None,
            "waiting": each.waiting,
            "dead": each.dead,
            "is_sent": each.is_sent,
            "problem": each.problem or None,
        }
        for each in found
    ]
