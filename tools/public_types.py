"""Check the public types with pyright, as another type checker than mypy.

Every public name of every module has a type that any type checker knows without guessing
(``--verifytypes``), and `tests/typing/api.py` is right. Pyright and its Node.js are wheels, so
that nothing is fetched when it runs.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from _environment import ROOT

_VERIFY = ("--verifytypes", "segops_durable", "--ignoreexternal")
_EXAMPLES = ("tests/typing/api.py",)
_ELSEWHERE = "segops_durable.spark."
"""What stands on a package that is in no environment that has pyright: 0.5 GB."""
_FOLLOWS = "partially unknown"
"""What pyright says of whatever uses a type that it has complained of already."""


def main() -> int:
    """Run both; say what pyright is not content with, and how complete the types are."""
    found = _pyright(*_VERIFY)["typeCompleteness"]
    symbols = [
        each
        for each in found["symbols"]
        if each["isExported"] and not each["name"].startswith(_ELSEWHERE)
    ]
    problems = [
        problem
        for symbol in symbols
        for problem in symbol["diagnostics"]
        if _FOLLOWS not in problem["message"]
    ]
    problems += _pyright(*_EXAMPLES)["generalDiagnostics"]
    for problem in problems:
        print(f"{_place(problem)}: {problem['message']}")
    known = sum(each["isTypeKnown"] for each in symbols)
    print(f"{known} of {len(symbols)} types are complete")
    return 0 if not problems and known == len(symbols) else 1


def _pyright(*arguments: str) -> dict[str, Any]:
    result = subprocess.run(
        [sys.executable, "-m", "pyright", "--outputjson", *arguments],
        cwd=ROOT,
        env={
            **os.environ,
            # where --verifytypes looks for Python and its packages, whatever else it is told
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}",
            "PYRIGHT_PYTHON_IGNORE_WARNINGS": "1",  # or it asks PyPI for a newer one
        },
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    found: dict[str, Any] = json.loads(result.stdout)
    return found


def _place(problem: dict[str, Any]) -> str:
    line = problem["range"]["start"]["line"] + 1 if "range" in problem else "?"
    return f"{problem.get('file', 'segops_durable')}:{line}"


if __name__ == "__main__":
    sys.exit(main())
