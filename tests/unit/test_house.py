"""What the habits of this repository rest on: its checks, its dependencies, its map of tests."""

from __future__ import annotations

import ast
import importlib.metadata
import re
import sys
from collections import defaultdict
from pathlib import Path

import _checks
import _environment
import pytest

pytestmark = pytest.mark.one_python

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "segops_durable"
TESTS = ROOT / "tests"
MOST_LINES = 350
MOST_OF_PACKAGE = 299
DISTRIBUTIONS = {
    "confluent_kafka": "confluent-kafka",
    "jwt": "pyjwt",
    "opentelemetry": "opentelemetry-api",
    "persistqueue": "persist-queue",
    "typing_extensions": "typing-extensions",
}
"""What a module is called where its distribution is called otherwise."""
EXTRAS_OF = {
    "segops_durable/aio": {"trio"},
    "segops_durable/events": {"fast"},
    "segops_durable/cli": {"cli"},
    "segops_durable/cli/service/pages.py": {"relay"},
    "segops_durable/contrib/django": {"django"},
    "segops_durable/sandbox": {"cli", "sandbox"},
    "segops_durable/intake/sources": {"etl"},
    "segops_durable/kafka": {"kafka"},
    "segops_durable/otel": {"otel"},
    "segops_durable/relay": {"cli", "relay"},
    "segops_durable/page": {"relay", "sandbox"},
    "segops_durable/spark": {"spark"},
    "segops_durable/testing/plugin.py": {"testing"},
}
"""Which extras a part of the package may import; all of it may import what is always there."""


def declared() -> dict[str, set[str]]:
    """The distributions that are asked for, by extra; "" is what is always there."""
    found: dict[str, set[str]] = defaultdict(set)
    for line in importlib.metadata.requires("segops-durable") or []:
        name = re.match(r"[\w.-]+", line)
        assert name is not None
        extra = re.search(r"extra == ['\"](\w+)['\"]", line)
        found[extra[1] if extra else ""].add(name[0].lower())
    return found


def imported_at_run_time(path: Path) -> set[str]:
    """The top names of the modules that a file imports, but for types alone."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for_types = {
        id(below)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
        for each in node.body
        for below in ast.walk(each)
    }
    names: set[str] = set()
    for node in ast.walk(tree):
        if id(node) in for_types:
            continue
        if isinstance(node, ast.Import):
            names.update(alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level and node.module:
            names.add(node.module.split(".")[0])
    later = {"tomllib"}  # of the standard library, from Python 3.11 on
    return names - set(sys.stdlib_module_names) - later - {"segops_durable"}


def test_what_the_package_imports_is_declared_by_it_or_by_the_extra_of_that_part() -> None:
    asked = declared()
    missing = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        place = path.relative_to(ROOT).as_posix()
        extras = {""}.union(*(each for part, each in EXTRAS_OF.items() if place.startswith(part)))
        allowed = set().union(*(asked[extra] for extra in extras))
        names = {DISTRIBUTIONS.get(name, name) for name in imported_at_run_time(path)}
        if names - allowed:
            missing[place] = names - allowed
    assert missing == {}


def test_the_hooks_before_a_commit_are_the_checks() -> None:
    text = (ROOT / "tools" / "pre-commit.yaml").read_text(encoding="utf-8")
    hooks = dict(
        zip(re.findall(r"- id: (\S+)", text), re.findall(r"entry: (.+)", text), strict=True)
    )
    checks = _checks.commands_of_checks("python")
    assert hooks == {name: f"python3 tools/test.py check {name}" for name in checks}


def test_the_links_of_the_readme_work_wherever_it_is_shown() -> None:
    """Beside the package's index there is no file, and no heading has a place of its own."""
    (repository,) = (
        line.rpartition(", ")[2]
        for line in importlib.metadata.metadata("segops-durable").get_all("Project-URL") or []
        if line.startswith("Repository,")
    )
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    headings = {
        re.sub(r"[^\w -]", "", line.lstrip("# ").lower()).replace(" ", "-")
        for line in text.splitlines()
        if line.startswith("#")
    }
    links = re.findall(r"\]\(([^)]+)\)", text)
    assert links
    for link in links:
        assert link.startswith(repository), link
        file, _, heading = link.removeprefix(repository).partition("#")
        assert not heading or heading in headings, link
        path = re.sub(r"^/(blob|raw)/main/", "", file)  # a picture is shown by its raw address
        assert not file or (ROOT / path).is_file(), link


def test_no_statement_has_numbered_parameters() -> None:
    """Python 3.12 warns of them where a sequence is given, and 3.14 refuses them."""
    numbered = {
        path.name: node.value
        for path in PACKAGE.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
        if re.search(r"(SELECT|WHERE|VALUES|SET)\b[^?]*(\?[^?]*)*\?\d", node.value)
    }
    assert numbered == {}


def test_every_python_that_the_package_claims_is_one_that_the_tests_run_on() -> None:
    claimed = importlib.metadata.metadata("segops-durable").get_all("Classifier") or []
    versions = {line.rpartition(" ")[2] for line in claimed if "Python :: 3." in line}
    assert versions
    assert versions <= set(_environment.PYTHONS)


@pytest.mark.parametrize("kind", ["unit", "integration"])
def test_the_tests_of_a_wing_are_where_its_name_says(kind: str) -> None:
    for directory in (each for each in (TESTS / kind).rglob("*") if each.is_dir()):
        if directory.name != "__pycache__":
            assert (PACKAGE / directory.relative_to(TESTS / kind)).is_dir(), directory


def test_no_file_is_too_long_to_be_read() -> None:
    long = {
        path.relative_to(ROOT).as_posix(): lines
        for place, most in ((PACKAGE, MOST_OF_PACKAGE), (TESTS, MOST_LINES))
        for path in place.rglob("*.py")
        if (lines := len(path.read_text(encoding="utf-8").splitlines())) > most
    }
    assert long == {}
