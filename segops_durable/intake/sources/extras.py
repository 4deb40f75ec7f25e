"""What is imported only where it is needed, and may not be installed."""

from __future__ import annotations

import importlib
from functools import cache
from typing import Any

from segops_durable.errors import ConfigurationError

_ETL_EXTRA = 'needs: pip install "segops-durable[etl]"'


@cache
def pyarrow_module(name: str) -> Any:  # noqa: ANN401 - a module
    """Import a module of pyarrow, which is optional.

    Raises:
        ConfigurationError: It is not installed.
    """
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError:
        raise ConfigurationError(f"this file {_ETL_EXTRA}", field="format") from None
