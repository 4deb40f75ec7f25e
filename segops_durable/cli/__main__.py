"""``python -m segops_durable.cli``: the same as ``python -m segops_durable``."""

from __future__ import annotations

from segops_durable.cli.start import main

if __name__ == "__main__":
    main()
