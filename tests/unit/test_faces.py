"""Each wing is entered by its face: what others may use of it is what that has."""

from __future__ import annotations

import ast
import importlib
from pathlib import Path
from types import ModuleType

import segops_durable

PACKAGE = Path(segops_durable.__file__).parent
ENTERED_BY_NAME = {
    "segops_durable.cli.start",
    "segops_durable.errors.plain_text",
    "segops_durable.errors.redaction",
    "segops_durable.intake.imports",
}
"""Rooms that say themselves that they are entered so; those of `system` all are."""


def imported_from_other_wings() -> set[tuple[str, str, str]]:
    """File, module and name of each import of one wing's in another, for types alone as well."""
    found = set()
    for path in PACKAGE.rglob("*.py"):
        place = path.relative_to(PACKAGE)
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.ImportFrom) or not node.module:
                continue
            parts = node.module.split(".")
            if parts[0] == PACKAGE.name and len(parts) > 1 and parts[1] != place.parts[0]:
                found |= {(place.as_posix(), node.module, each.name) for each in node.names}
    return found


def test_what_is_imported_from_another_wing_is_imported_from_its_face() -> None:
    past = {
        (file, module)
        for file, module, _ in imported_from_other_wings()
        if module.count(".") > 1
        and module not in ENTERED_BY_NAME
        and not module.startswith("segops_durable.system.")
    }
    assert past == set()


def test_a_face_says_all_that_is_imported_from_it() -> None:
    unsaid = set()
    for file, module, name in imported_from_other_wings():
        face = importlib.import_module(module)
        is_room = isinstance(getattr(face, name), ModuleType)
        if not is_room and name not in getattr(face, "__all__", (name,)):
            unsaid.add((file, module, name))
    assert unsaid == set()
