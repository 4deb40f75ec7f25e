"""Run the demonstration on a machine with nothing but Python: ``python3 tools/demo.py``."""

from __future__ import annotations

import subprocess
import sys

from _environment import ROOT, environment

if __name__ == "__main__":
    command = [str(environment("sandbox")), "-m", "segops_durable", "demo"]
    sys.exit(subprocess.run(command, cwd=ROOT, check=False).returncode)
