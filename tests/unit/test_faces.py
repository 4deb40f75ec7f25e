"""Each wing is entered by its face: what others may use of it is what that has."""

from __future__ import annotations

import ast
import importlib
import pickle
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

import segops_durable

PACKAGE = Path(segops_durable.__file__).parent
ENTERED_BY_NAME = {
    "segops_durable.cli.start",
    "segops_durable.errors.plain_text",
    "segops_durable.errors.redaction",
    "segops_durable.intake.imports",
    "segops_durable.intake.messages",
    "segops_durable.intake.received",
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


def said_by(face: ModuleType) -> dict[str, str]:
    """The module of each name that a face says to a type checker only."""
    assert face.__file__ is not None
    tree = ast.parse(Path(face.__file__).read_text(encoding="utf-8"))
    blocks = [node for node in tree.body if isinstance(node, ast.If)]
    imports = [node for block in blocks for node in block.body if isinstance(node, ast.ImportFrom)]
    return {each.name: str(node.module) for node in imports for each in node.names}


FACES_ON_DEMAND = [
    "segops_durable",
    "segops_durable.client",
    "segops_durable.delivery",
    "segops_durable.intake.imports",
    "segops_durable.outbox",
    "segops_durable.testing",
]


@pytest.mark.parametrize("name", FACES_ON_DEMAND)
def test_what_a_face_gives_on_demand_is_what_a_type_checker_sees(name: str) -> None:
    face = importlib.import_module(name)
    said = said_by(face)
    assert said
    for each, module in said.items():
        assert getattr(face, each) is getattr(importlib.import_module(module), each)
    assert set(said) <= set(face.__all__) <= set(dir(face))


@pytest.mark.parametrize("name", FACES_ON_DEMAND)
def test_all_that_a_face_says_can_be_taken_from_it_at_once(name: str) -> None:
    code = (
        f"from {name} import *; import {name} as face; assert set(face.__all__) <= set(globals())"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
    code = f"import {name} as face; assert set(face.__all__) <= set(dir(face)); help(face)"
    subprocess.run([sys.executable, "-c", code], check=True, stdout=subprocess.DEVNULL)


def test_a_name_that_a_face_has_not_is_an_error_of_the_attribute() -> None:
    with pytest.raises(AttributeError, match="'segops_durable' has no attribute 'Client'"):
        segops_durable.Client  # type: ignore[attr-defined]  # noqa: B018 - it is looked up
    assert not hasattr(segops_durable, "Client")


def test_what_comes_on_demand_can_be_pickled_before_it_was_asked_for() -> None:
    code = "import pickle, sys; print(pickle.loads(sys.stdin.buffer.read()))"
    options = segops_durable.FileOptions(encoding="utf-8")
    told = subprocess.run(
        [sys.executable, "-c", code], input=pickle.dumps(options), capture_output=True, check=True
    )
    assert told.stdout.decode().strip() == repr(options)
