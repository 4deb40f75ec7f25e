"""Libraries that are loaded before libc: a disk that fails, a clock that is wrong."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

_TOOLS = Path(__file__).parents[1]
DISK, CLOCK = _TOOLS / "diskfault.c", _TOOLS / "clockshift.c"


def build(directory: Path, source: Path = DISK) -> Path | None:
    """Compile `diskfault.c`, or another library like it; None where there is no compiler."""
    compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    if compiler is None or sys.platform != "linux":
        return None
    library = directory / f"{source.stem}.so"
    command = [compiler, "-shared", "-fPIC", "-O1", "-o", str(library), str(source), "-ldl"]
    subprocess.run(command, check=True)
    return library
