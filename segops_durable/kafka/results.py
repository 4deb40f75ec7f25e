"""How consuming goes, and how it went."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, kw_only=True)
class ConsumeResult:
    """What a call of `consume` has done so far.

    Attributes:
        messages: Messages that are done with.
        stored: Events that were stored of them.
        rejected: Messages that were no events.
        dropped: Events that `before_store` dropped, and messages for which `to_event` returned
            None.
        tombstones: Messages without a value, which are no events.
        lost: Messages that were deleted before they were read, at most, where that is skipped:
            offsets have gaps, so it may have been fewer.
        positions: The offset that is read next, by topic and partition.
    """

    messages: int = 0
    stored: int = 0
    rejected: int = 0
    dropped: int = 0
    tombstones: int = 0
    lost: int = 0
    positions: Mapping[tuple[str, int], int] = field(default_factory=dict)
