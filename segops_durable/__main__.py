"""``python -m segops_durable``, and the console script."""

from __future__ import annotations

from segops_durable.cli.start import main

if __name__ == "__main__":
    main()
