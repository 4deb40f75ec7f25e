"""How fast sending goes, and what holds for the round of it that is under way."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Pace:
    """How fast sending goes; `Options` has the meaning of each."""

    batch_size: int
    largest_batch: int  # events in a request where more than `batch_size` wait
    minimum: int  # events that are sent without waiting for more, or for the interval
    newest_share: float  # of the batches, while a backlog waits
    flush_interval: float
    max_retries: int
    max_retry_after: float
    longest_round: float  # seconds that a failing round may take, for those who wait for it


@dataclass
class Round:
    """What holds for the round under way."""

    up_to: int = 0  # the newest event that waited when it began: no batch begins behind it
    small_up_to: int = 0  # the newest that may go in a batch which is not full
    is_asked_for: bool = False  # somebody waits for it
    urgent_up_to: int = 0  # as both, for events that go first: they may have come since
    is_open: bool = False  # SegOps itself has answered
    withdrawals: int = 0  # batches of which something was erased
    refusals: int = 0  # users for whom SegOps gave no session
