"""What the tests of sources share."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from segops_durable import SegOpsClient


@pytest.fixture
def client(make_client: Callable[..., SegOpsClient]) -> SegOpsClient:
    return make_client(api_url="http://127.0.0.1:9")
