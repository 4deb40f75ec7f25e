"""What `import` says: before, what files are taken for; after, how it went."""

from __future__ import annotations

from typing import TYPE_CHECKING

from segops_durable.cli.draining import tell_left
from segops_durable.cli.output import say

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from pathlib import Path

    from segops_durable.cli.draining import Drained
    from segops_durable.intake.imports import Mended, Prepared

_SHOWN = 5
_SAID = {"sent": "sent", "refused": "refused", "waiting": "wait"}


def plans_of(prepared: Sequence[Prepared]) -> list[str]:
    """What files are taken for, a line each; parts of a directory that are alike have one."""
    alike: dict[tuple[str | None, str], list[str]] = {}
    for each in prepared:
        what = each.plan.removeprefix(each.source.name) if each.source.part else each.plan
        alike.setdefault((each.source.directory, what), []).append(each.plan)
    more = {key: f" (and {len(plans) - 1:,} more parts)" for key, plans in alike.items()}
    return [
        plans[0] + (more[key] if key[0] is not None and len(plans) > 1 else "")
        for key, plans in alike.items()
    ]


def noting(path: Path, bad: list[str]) -> Callable[[Mended, str], None]:
    """What notes each record of a file of rejects that is still bad, in words."""

    def note(mended: Mended, reason: str) -> None:
        bad.append(f"{path}, line {mended.number} (line {mended.line} of {mended.file}): {reason}")

    return note


def tell_total(total: dict[str, int], bad: Sequence[str], files: Iterable[str]) -> None:
    """Say how an import went.

    Args:
        total: What was counted, by name, as `ImportResult` has it.
        bad: What is still wrong with records that were to be mended.
        files: Where what was rejected went.
    """
    before, rejected_before = total["stored_before"], total["rejected_before"]
    text = f"{total['stored']:,} stored, {total['rejected']:,} rejected"
    text += f"; {before:,} had been stored before" if before else ""
    text += f"; {rejected_before:,} had been rejected before" if rejected_before else ""
    say(text, err=True)
    for each in bad[:_SHOWN]:
        say(each, err=True)
    if total["rejected"] + rejected_before > len(bad):
        say(f"What was rejected, and why: {', '.join(files)}", err=True)


def tell_sent(drained: Drained | None) -> None:
    """Say how the sending went, if there was any."""
    if drained is not None:
        tell_counts(counts_of(drained))
        tell_left(drained)


def tell_counts(counts: dict[str, int]) -> None:
    """Say what was sent and what was not.

    Args:
        counts: As `counts_of` has them.
    """
    say(", ".join(f"{count:,} {_SAID[name]}" for name, count in counts.items()), err=True)


def counts_of(drained: Drained | None) -> dict[str, int]:
    """What was sent and what was not, by name; nothing where nothing was to be sent."""
    if drained is None:
        return {}
    return {"sent": drained.sent, "refused": drained.dead, "waiting": drained.waiting}
