"""What is imported only where it is needed, and may not be installed."""

from __future__ import annotations

import importlib
from functools import cache
from typing import Any

from segops_durable.errors import ConfigurationError

_ETL_EXTRA = 'needs: pip install "segops-durable[etl]"'
_CLOUD_EXTRA = 'needs: pip install "segops-durable[cloud]"'


@cache
def fsspec_module(name: str) -> Any:  # noqa: ANN401 - a module
    """Import a module of fsspec, which is optional.

    Raises:
        ConfigurationError: It is not installed.
    """
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError:
        raise ConfigurationError(
            f"to read a URL {_CLOUD_EXTRA}",
            field="source",
            hint="And the package of its protocol: s3fs for s3://, gcsfs for gs://",
        ) from None


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
