"""Faults that can be switched on while the sandbox runs."""

from __future__ import annotations

import random
import threading
from dataclasses import dataclass
from typing import Any, Literal

from segops_durable.sandbox.checks import BadFieldError, check_number

_LONGEST = 3600.0
_LARGEST = 1 << 30
_LONGEST_TEXT = 100


@dataclass(frozen=True, kw_only=True)
class Faults:
    """What goes wrong, and how often. Several may be combined; they apply to ``/api/`` only.

    Attributes:
        rate: The share of requests that are hit, 0 to 1. Defaults to all.
        times: Only the next so many hits. Defaults to no end.
        delay: Seconds before anything else happens. Defaults to 0.
        status: Answer with this status instead of serving the request.
        json: The body to go with `status`. Defaults to a ``detail``.
        retry_after: Seconds for a ``Retry-After`` header to go with `status`, or its text: a date.
        reset: Reset the connection ``before`` the events are accepted, or ``after``.
        portal: Answer 200 with a HTML page, as a captive portal does.
        redirect: Answer 302 to this place.
        body_limit: Answer 413 to a body of more bytes.
        seed: Makes the choice of hits repeatable. Defaults to chance.
    """

    rate: float = 1.0
    times: int | None = None
    delay: float = 0.0
    status: int | None = None
    json: Any = None
    retry_after: float | str | None = None
    reset: Literal["before", "after"] | None = None
    portal: bool = False
    redirect: str | None = None
    body_limit: int | None = None
    seed: int | None = None

    def __post_init__(self) -> None:
        check_number("rate", self.rate, 0, 1)
        check_number("delay", self.delay, 0, _LONGEST)
        for name, low, high in (
            ("times", 0, _LARGEST),
            ("status", 200, 599),
            ("body_limit", 0, _LARGEST),
            ("seed", 0, _LARGEST),
        ):
            if getattr(self, name) is not None:
                check_number(name, getattr(self, name), low, high)
        self._check_retry_after()
        if self.reset not in {None, "before", "after"}:
            raise BadFieldError("reset", f'must be "before" or "after", got {self.reset!r}')
        if self.redirect is not None and not isinstance(self.redirect, str):
            raise BadFieldError("redirect", f"must be a URL or a path, got {self.redirect!r}")
        if not isinstance(self.portal, bool):
            raise BadFieldError("portal", f"must be true or false, got {self.portal!r}")

    def _check_retry_after(self) -> None:
        given = self.retry_after
        if not isinstance(given, str):
            if given is not None:
                check_number("retry_after", given, 0, _LONGEST * 24)
        elif not (given.isascii() and given.isprintable() and 0 < len(given) <= _LONGEST_TEXT):
            problem = f"must be seconds, or 1 to {_LONGEST_TEXT} letters of ASCII, got {given!r}"
            raise BadFieldError("retry_after", problem)


_NONE = Faults()


class FaultSwitch:
    """Holds the faults that are on, and decides which request they hit."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.set(_NONE)

    @property
    def current(self) -> Faults:
        """The faults that are on."""
        return self._faults

    def set(self, faults: Faults) -> None:
        """Switch to these faults, in place of any other."""
        with self._lock:
            self._faults = faults
            self._left = faults.times
            self._random = random.Random(faults.seed)  # noqa: S311 - nothing secret

    def clear(self) -> None:
        """Switch all faults off."""
        self.set(_NONE)

    def strike(self) -> Faults:
        """The faults that hit the request at hand: all, or none."""
        with self._lock:
            if self._left == 0 or self._random.random() >= self._faults.rate:
                return _NONE
            if self._left is not None:
                self._left -= 1
            return self._faults
