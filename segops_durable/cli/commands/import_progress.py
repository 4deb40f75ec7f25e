"""The progress bars of `import`, one a file."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.progress import (
    BarColumn,
    DownloadColumn,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)

from segops_durable.cli.output import bars_on_stderr
from segops_durable.errors.plain_text import visible

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from segops_durable.intake.imports import Progress as Advance
    from segops_durable.intake.imports import Source


@contextmanager
def progress_bars(*, is_shown: bool) -> Iterator[Callable[[Source], Callable[[Advance], None]]]:
    """Yield what makes a progress bar for a source."""
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        DownloadColumn(),
        TextColumn("{task.fields[lines]}"),
        TimeRemainingColumn(),
    )
    with bars_on_stderr(*columns, is_shown=is_shown) as progress:
        parts: list[TaskID] = []

        def follow(source: Source) -> Callable[[Advance], None]:
            while parts:  # a directory may have thousands: the one that is read is shown
                progress.update(parts.pop(), visible=False)
            task: TaskID = progress.add_task(visible(source.name), total=source.size, lines="")
            if source.part:
                parts.append(task)

            def advance(now: Advance) -> None:
                lines = f"{now.stored:,} stored, {now.rejected:,} rejected"
                progress.update(task, completed=now.consumed, lines=lines)

            return advance

        yield follow
