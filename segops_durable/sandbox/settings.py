"""How the sandbox is set up, and the rate limits that follow from it."""

from __future__ import annotations

import math
import threading
import time
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from segops_durable.sandbox.checks import BadFieldError, check_number

if TYPE_CHECKING:
    from collections.abc import Callable

PLANS: dict[str, int | None] = {"none": None, "free": 60, "starter": 300, "business": 1000}
"""API calls a minute, by SegOps' listed plans (public documentation); ``none`` is no limit."""

COUNTINGS = ("sliding", "fixed", "bucket")
"""How calls may be counted: SegOps does not say how it does."""

_WINDOW_SECONDS = 60.0
_FARTHEST = 86_400.0 * 366


@dataclass(frozen=True, kw_only=True)
class Settings:
    """How the sandbox is set up.

    Attributes:
        plan: The rate limit, a name out of `PLANS`. Defaults to ``none``.
        counting: How its calls are counted: those of the last minute (``sliding``), of each
            minute by itself (``fixed``), or with as many saved up as a minute has (``bucket``).
            Defaults to ``sliding``.
        require_signed: Refuse sessions for a `user_id` without a signature. Defaults to False.
        revoked_keys: API keys that get 401. Defaults to none.
        token_seconds: How long a session token lives. Defaults to 15 minutes, as documented.
        required: What the payload of an event type has to have, by type: an event without is
            skipped, as by a schema. Defaults to nothing.
        clock_offset: Seconds that the server's clock is ahead. Defaults to 0.
    """

    plan: str = "none"
    counting: str = "sliding"
    require_signed: bool = False
    revoked_keys: list[str] = field(default_factory=list)
    required: dict[str, list[str]] = field(default_factory=dict)
    token_seconds: float = 900.0
    clock_offset: float = 0.0

    def __post_init__(self) -> None:
        if self.plan not in PLANS:
            raise BadFieldError("plan", f"must be one of {', '.join(PLANS)}, got {self.plan!r}")
        if self.counting not in COUNTINGS:
            raise BadFieldError(
                "counting", f"must be one of {', '.join(COUNTINGS)}, got {self.counting!r}"
            )
        if not isinstance(self.require_signed, bool):
            raise BadFieldError(
                "require_signed", f"must be true or false, got {self.require_signed!r}"
            )
        if not isinstance(self.revoked_keys, list):
            raise BadFieldError("revoked_keys", f"must be a list, got {self.revoked_keys!r}")
        _check_required(self.required)
        check_number("token_seconds", self.token_seconds, 0, 86_400)
        check_number("clock_offset", self.clock_offset, -_FARTHEST, _FARTHEST)

    def now(self) -> float:
        """The server's clock, in Unix time."""
        return time.time() + self.clock_offset


def _check_required(value: object) -> None:
    is_sound = isinstance(value, dict) and all(
        isinstance(name, str) and isinstance(each, list) for name, each in value.items()
    )
    if not is_sound:
        raise BadFieldError("required", f"must be an object of lists, got {value!r}")


class RateLimit:
    """Counts calls, in whichever way.

    Args:
        monotonic: Seconds that only ever grow. Defaults to the machine's.
    """

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._calls: deque[float] = deque()  # of the last minute
        self._began = monotonic()
        self._minute = -1  # the one that is counted
        self._count = 0
        self._saved = math.inf  # calls in the bucket
        self._filled_at = self._began

    def seconds_to_wait(self, limit: int | None, counting: str = "sliding") -> int:
        """Count a call; return 0, or the seconds after which there is room for it.

        Args:
            limit: Calls a minute; None for no limit.
            counting: One of `COUNTINGS`. Defaults to ``sliding``.
        """
        if limit is None:
            return 0
        count = {"sliding": self._slide, "fixed": self._fix, "bucket": self._draw}[counting]
        with self._lock:
            wait = count(limit, self._monotonic())
        return max(1, math.ceil(wait)) if wait else 0

    def _slide(self, limit: int, now: float) -> float:
        while self._calls and self._calls[0] <= now - _WINDOW_SECONDS:
            self._calls.popleft()
        if len(self._calls) >= limit:
            return self._calls[0] + _WINDOW_SECONDS - now
        self._calls.append(now)
        return 0.0

    def _fix(self, limit: int, now: float) -> float:
        minute, passed = divmod(now - self._began, _WINDOW_SECONDS)
        if minute != self._minute:
            self._minute, self._count = int(minute), 0
        if self._count >= limit:
            return _WINDOW_SECONDS - passed
        self._count += 1
        return 0.0

    def _draw(self, limit: int, now: float) -> float:
        filled = (now - self._filled_at) * limit / _WINDOW_SECONDS
        self._saved = min(self._saved + filled, float(limit))
        self._filled_at = now
        if self._saved < 1:
            return (1 - self._saved) * _WINDOW_SECONDS / limit
        self._saved -= 1
        return 0.0
