"""How fast sending goes, and what holds for the round of it that is under way."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Pace:
    """How fast sending goes; `Options` has the meaning of each."""

    batch_size: int
    flush_interval: float
    max_retries: int
    max_retry_after: float
    longest_round: float  # seconds that a failing round may take, for those who wait for it


@dataclass
class Round:
    """What holds for the round under way."""

    minimum: int = 1  # events that a new batch needs to be sent
    is_asked_for: bool = False  # somebody waits for it
    is_open: bool = False  # SegOps itself has answered
    withdrawals: int = 0  # batches of which something was erased
    refusals: int = 0  # users for whom SegOps gave no session
