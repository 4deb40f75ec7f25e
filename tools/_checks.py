"""The checks that need no test to run, by name; `tools/pre-commit.yaml` has the same."""

from __future__ import annotations

import os
from pathlib import Path

# mkdocs-material says at each build until when it is maintained: May 2027, and it is pinned
os.environ.setdefault("NO_MKDOCS_2_WARNING", "1")

DOCS = Path(__file__).parent / "docs" / "mkdocs.yml"
"""The pages; they are built into `.site`."""


def commands_of_checks(python: str) -> dict[str, list[str]]:
    """Say how each check is run, by its name.

    Args:
        python: The interpreter of the environment that has the tools.
    """
    return {
        "format": [python, "-m", "ruff", "format", "--check", "."],
        "lint": [python, "-m", "ruff", "check", "."],
        "types": [python, "-m", "mypy"],
        "public-types": [python, str(Path(__file__).with_name("public_types.py"))],
        "imports": [str(Path(python).with_name("lint-imports")), "--no-cache"],
        "docs": [python, "-m", "mkdocs", "build", "--quiet", "--strict", "-f", str(DOCS)],
    }
