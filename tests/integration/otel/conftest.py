from __future__ import annotations

import pytest

from support.telemetry import Seen


@pytest.fixture
def seen() -> Seen:
    return Seen()
