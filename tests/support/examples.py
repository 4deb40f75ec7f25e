"""How many examples a property is tried with."""

from __future__ import annotations

from hypothesis import settings

ELSEWHERE = "elsewhere"
"""The profile of Hypothesis for all Pythons but one: they agree but for a few examples."""
_USUAL = settings().max_examples

settings.register_profile(ELSEWHERE, max_examples=_USUAL // 10)


def examples(most: int) -> int:
    """So many on one Python, and a tenth on each other one."""
    return most * settings().max_examples // _USUAL
