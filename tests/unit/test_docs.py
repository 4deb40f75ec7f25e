"""The pages of the documentation say all that there is, and nothing that no test has run."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import segops_durable
from segops_durable import SegOpsError, State
from segops_durable.cli.prometheus import _METRICS, _PREFIX

pytestmark = pytest.mark.one_python

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "tools" / "docs"
README = (ROOT / "README.md").read_text(encoding="utf-8")
REPOSITORY = "https://github.com/segops-durable/segops_durable"
PAGES = {path.name: path.read_text(encoding="utf-8") for path in (DOCS / "pages").glob("*.md")}
TESTS = "\n".join(
    path.read_text(encoding="utf-8")
    for directory in ("frameworks", "spark")
    for path in (ROOT / "tests" / directory).glob("*.py")
)


def said(page: str) -> set[str]:
    """What stands first in a row of a table."""
    return set(re.findall(r"^\| `(\w+)`", PAGES[page], re.MULTILINE))


def test_operations_has_each_state_metric_and_error() -> None:
    exported = (getattr(segops_durable, name) for name in segops_durable.__all__)
    errors = {each for each in exported if isinstance(each, type) and issubclass(each, SegOpsError)}
    bases = {base for each in errors for base in each.__mro__[1:]}
    leaves = {each.__name__ for each in errors - bases}
    metrics = {f"{_PREFIX}_{name}" for name, *_ in _METRICS}
    assert said("operations.md") >= leaves | metrics | {state.value for state in State}


def test_each_row_of_operations_is_about_something_that_is_there() -> None:
    exported = set(segops_durable.__all__)
    states = {state.value for state in State}
    rows = said("operations.md")
    assert {row for row in rows if row.endswith("Error")} <= exported
    assert {row for row in rows if row.islower() and not row.startswith(_PREFIX)} == states


def test_each_program_that_a_page_shows_is_one_that_a_test_runs() -> None:
    shown = {
        name
        for text in PAGES.values()
        for block in re.findall(r"```python\n(.*?)```", text, re.DOTALL)
        for name in re.findall(r'^--8<-- "programs/(.+)"$', block, re.MULTILINE) or [block]
    }
    programs = {
        path.relative_to(DOCS / "programs").as_posix() for path in (DOCS / "programs").rglob("*.py")
    }
    assert shown <= programs
    for program in shown:
        place = Path(program)
        assert any(re.search(rf"\b{name}\b", TESTS) for name in (place.stem, place.parts[0])), place


def test_each_section_of_readme_is_on_a_page_but_for_those_about_a_checkout() -> None:
    sections = set(re.findall(r"^#{1,2} (.+)$", _without_code(README), re.MULTILINE))
    shown = [
        name
        for text in PAGES.values()
        for name in re.findall(r"^<!-- README: (.+) -->$", text, re.MULTILINE)
    ]
    assert len(shown) == len(set(shown))
    assert sections - set(shown) == {"Try it", "For those who work on it", "License"}


def test_a_link_to_the_repository_leads_to_a_file_or_a_heading_that_is_there() -> None:
    headings = re.findall(r"^#{1,2} (.+)$", _without_code(README), re.MULTILINE)
    anchors = {re.sub(r"[^\w -]", "", each.lower()).replace(" ", "-") for each in headings}
    links = {
        link
        for text in (README, *PAGES.values())
        for link in re.findall(rf"\]\({REPOSITORY}([^)]*)\)", text)
    }
    assert links
    for link in links:
        kind, _, place = link.partition("/main/")
        if kind in {"/blob", "/raw"}:
            assert (ROOT / place).is_file(), link
        else:
            assert link.startswith("#"), link
            assert link[1:] in anchors, link


def _without_code(text: str) -> str:
    return re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)
