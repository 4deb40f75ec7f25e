"""A corpus of files to import, as the world writes them, each with what has to come of it."""

from __future__ import annotations

from support.corpus.all_cases import CASES
from support.corpus.case import Case, Reject, write_all

__all__ = ["CASES", "Case", "Reject", "write_all"]
