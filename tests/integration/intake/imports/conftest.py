"""What the tests of imports share."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from segops_durable import SegOpsClient
    from segops_durable.sandbox import Sandbox


@pytest.fixture
def client(make_client: Callable[..., SegOpsClient], sandbox: Sandbox) -> SegOpsClient:
    sandbox.stop()
    return make_client(max_retries=0)
