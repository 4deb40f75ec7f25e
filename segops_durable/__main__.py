"""``python -m segops_durable`` and the console script: the way to the command line."""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command line, or say which extra it needs."""
    try:
        from segops_durable.cli import run  # noqa: PLC0415 - the extra may be missing
    except ModuleNotFoundError as error:
        sys.exit(f'{error.name} is not installed; try: pip install "segops-durable[cli,sandbox]"')
    run()


if __name__ == "__main__":
    main()
