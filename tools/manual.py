"""Write the man pages, and the scripts with which shells complete the commands.

Usage: python tools/manual.py DIRECTORY

The DIRECTORY gets ``man1`` (to be put into ``/usr/local/share/man``) and ``completions``. It
needs the environment that ``tools/test.py`` makes.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from click.shell_completion import get_completion_class
from click_man.core import write_man_pages

from segops_durable import __version__
from segops_durable.cli.commands import run

if TYPE_CHECKING:
    import click

NAME = "segops-durable"
VARIABLE = "_SEGOPS_DURABLE_COMPLETE"
SCRIPTS = {"bash": NAME, "zsh": f"_{NAME}", "fish": f"{NAME}.fish"}
"""What each shell wants its script to be called, to find it by itself."""

_EXAMPLE = re.compile(r"^\.PP\n[\b\n]*Example:\n((?:  .*(?:\n|\Z))+)", re.MULTILINE)
_SEE_ALSO = re.compile(r"(?<=See \\fB)[^\\]+(?=\(1\))")


def write_manual(directory: Path) -> list[Path]:
    """Write all of it; return what was written."""
    pages = directory / "man1"
    pages.mkdir(parents=True, exist_ok=True)
    _keep_first_sentences(run)
    write_man_pages(NAME, run, version=__version__, target_dir=str(pages))
    written = sorted(pages.iterdir())
    for page in written:
        page.write_text(_mended(page.read_text("utf-8")), "utf-8")
    for shell, name in SCRIPTS.items():
        script = directory / "completions" / shell / name
        script.parent.mkdir(parents=True, exist_ok=True)
        kind = get_completion_class(shell)
        if kind is None:
            raise LookupError(f"click completes no {shell}")
        script.write_text(kind(run, {}, NAME, VARIABLE).source(), "utf-8")
        written.append(script)
    return written


def _keep_first_sentences(command: click.Command) -> None:
    """Give each command its first sentence, which would be cut to what a terminal has room for."""
    command.short_help = (command.help or "").partition("\n")[0]
    for child in getattr(command, "commands", {}).values():
        _keep_first_sentences(child)


def _mended(page: str) -> str:
    """Leave the lines of an example alone, which troff would fill; call pages by their names."""
    page = _SEE_ALSO.sub(lambda match: match[0].replace(" ", "-"), page)
    return _EXAMPLE.sub(lambda match: f".SH EXAMPLE\n.nf\n{match[1].rstrip()}\n.fi\n", page)


if __name__ == "__main__":
    if len(sys.argv) != 2:  # noqa: PLR2004 - the script, and its one argument
        sys.exit(__doc__)
    for each in write_manual(Path(sys.argv[1])):
        print(f"written: {each}")
