"""Has a page show sections of README where it says so, so that each text has one home.

A line ``<!-- README: At a kiosk -->`` becomes that section, without its heading, and
``<!-- FILE: segops_durable/outbox/FORMAT.md -->`` a whole file, without its first heading.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.files import Files
    from mkdocs.structure.pages import Page

ROOT = Path(__file__).parents[2]
_PLACE = re.compile(r"^<!-- (README|FILE): (.+) -->$", re.MULTILINE)


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:  # noqa: ARG001 - mkdocs's signature
    """Put the sections in their places; mkdocs calls it with each page."""
    return _PLACE.sub(_text_of, markdown)


def sections() -> dict[str, str]:
    """The sections of README by their headings, the title's among them."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    _, *parts = re.split(r"^#{1,2} (.+)\n", text, flags=re.MULTILINE)
    return dict(zip(parts[::2], parts[1::2], strict=True))


def _text_of(place: re.Match[str]) -> str:
    kind, name = place.groups()
    if kind == "FILE":
        return (ROOT / name).read_text(encoding="utf-8").partition("\n")[2]
    return sections()[name].strip()
