"""What a check of `doctor` found, and the mend."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Grade(str, Enum):
    """How a check came out."""

    OK = "ok"
    NOTE = "note"
    FAILED = "failed"


@dataclass(frozen=True)
class Finding:
    """What a check found.

    Attributes:
        check: What was checked.
        grade: How it came out.
        text: What was found.
        mend: What to do about it; empty where there is nothing to do.
    """

    check: str
    grade: Grade
    text: str
    mend: str = ""
