"""A stream that a job reads again: what was imported of it is passed over, and looked at."""

from __future__ import annotations

from typing import TYPE_CHECKING

from segops_durable.errors import ChangedFileError, ImportStoppedError
from segops_durable.intake.imports.heads import chunks_of
from segops_durable.intake.imports.sketch import merged
from segops_durable.intake.sources.source import BEGINNING, Chunk

if TYPE_CHECKING:
    from collections.abc import Generator

    from segops_durable.intake.imports.import_state import ImportState
    from segops_durable.intake.sources.source import Source


def passed_over(source: Source, state: ImportState) -> Generator[Chunk, None, None]:
    """Yield the chunks of a stream after a place.

    Args:
        source: The stream, which is at its beginning.
        state: How far it was imported.

    Raises:
        ChangedFileError: It does not begin with what was imported: it is another one.
        ImportStoppedError: It ends before the place, or cannot be read.
    """
    sketch: list[int] = []
    line, is_there = state.place.line, not state.place.line
    for chunk in chunks_of(source, BEGINNING):
        if is_there:
            yield chunk
            continue
        sketch = merged(sketch, [each for each in chunk.records if each.line <= line])
        if chunk.end.line < line:
            continue
        _check(source, state, sketch)
        is_there = True
        if chunk.end.line > line:
            yield Chunk([each for each in chunk.records if each.line > line], chunk.end)
    if not is_there:
        raise ImportStoppedError(
            f"{source.name} ends before the place that it was read to",
            file=source.name,
            hint="It is another one, or was cut",
        )


def _check(source: Source, state: ImportState, sketch: list[int]) -> None:
    if state.sketch and tuple(sketch) != state.sketch:
        raise ChangedFileError(
            f"{source.name} does not begin with what this job has imported, "
            f"{state.place.line} lines: {state.stored} events of that are stored",
            file=source.name,
            line=state.place.line,
            hint="If it is another one, give it a --job of its own, or begin anew with --restart",
        )
