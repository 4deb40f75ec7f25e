"""Write the corpus of files to import, `tests/data/`, anew.

    python tools/make_import_corpus.py

Run it in the project's environment after a change of `tests/support/corpus/`, where the files
and what has to come of them are described.
"""

from __future__ import annotations

import sys
from pathlib import Path

TESTS = Path(__file__).parents[1] / "tests"


def main() -> int:
    """Write the corpus."""
    sys.path.insert(0, str(TESTS))
    from support.corpus import CASES, write_all  # noqa: PLC0415 - it is found only now

    write_all(CASES, TESTS / "data")
    print(f"{len(CASES)} files, each with its neighbour, in {TESTS / 'data'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
