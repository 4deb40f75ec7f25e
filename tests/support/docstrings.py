"""Reads what docstrings say of arguments and attributes."""

from __future__ import annotations

import inspect


def section(documented: object, title: str) -> dict[str, str]:
    """The entries of a section of a docstring, each on one line; none where there is none."""
    lines = iter((inspect.getdoc(documented) or "").splitlines())
    entries: list[str] = []
    for line in lines:
        if line == f"{title}:":
            break
    for line in lines:
        if line and not line.startswith("    "):
            break
        if line.startswith("        "):
            entries[-1] += f" {line.strip()}"
        elif line:
            entries.append(line.strip())
    return {name.lstrip("*"): text for name, _, text in (each.partition(": ") for each in entries)}
