"""What is stored of an import that is under way: where it is, and how to know its file again."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from segops_durable.errors import ImportStoppedError
from segops_durable.importer.sources import Place, Source, tail_of

if TYPE_CHECKING:
    from segops_durable.importer.rejects import Rejects


@dataclass(frozen=True)
class State:
    """How far a file has been imported.

    Attributes:
        place: Where to go on.
        stored: Events stored so far.
        rejected: Records rejected so far.
        rejects: The file that those are in, and its size.
        prefix: The size of the file's beginning, and its hash.
        tail: A hash of what was read last; empty if nothing can tell.
    """

    place: Place
    stored: int
    rejected: int
    rejects: tuple[str, int]
    prefix: tuple[int, str]
    tail: str

    @classmethod
    def beginning(cls, source: Source, rejects: Rejects) -> State:
        """Of a file of which nothing was imported."""
        return cls(Place(0, 0), 0, 0, rejects.mark(), source.prefix(), "")

    @classmethod
    def of(cls, position: Any, source: Source, *, is_named: bool) -> State | None:  # noqa: ANN401 - JSON
        """Read what was stored; None if there was nothing, or it is of another file.

        Args:
            position: What was stored.
            source: The file.
            is_named: Whether it was found by a job's name, and so has to be of this file.

        Raises:
            ImportStoppedError: It is of this file, which has changed since.
        """
        if position is None:
            return None
        known = cls(
            Place(*position["place"]),
            position["stored"],
            position["rejected"],
            (position["rejects"][0], position["rejects"][1]),
            (position["prefix"][0], position["prefix"][1]),
            position["tail"],
        )
        is_beginning_same = source.prefix(known.prefix[0]) == known.prefix
        is_end_same = not known.tail or tail_of(source, known.place) == known.tail
        if not is_beginning_same and not is_named and not (known.tail and is_end_same):
            return None  # another file, where that one was
        if not is_beginning_same or not is_end_same:
            raise ImportStoppedError(
                f"{source.name} has changed since line {known.place.line} of it was imported",
                file=source.name,
                line=known.place.line,
                hint="What was imported stays. To import all of it, copy it to a new file, "
                "and give that a job of its own",
            )
        return known

    def as_position(self) -> dict[str, Any]:
        """What is stored of it, as JSON has it."""
        return {
            **vars(self),
            "place": list(self.place),
            "rejects": list(self.rejects),
            "prefix": list(self.prefix),
        }

    def after(
        self, source: Source, end: Place, *, stored: int, rejected: int, rejects: Rejects
    ) -> State:
        """The state after another chunk."""
        return replace(
            self,
            place=end,
            stored=self.stored + stored,
            rejected=self.rejected + rejected,
            rejects=rejects.mark(),
            tail=tail_of(source, end),
        )
