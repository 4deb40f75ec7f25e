"""What the tests of the system share."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from support.users import OWNER, home_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def home() -> Iterator[Path]:
    with home_of(OWNER) as made:
        yield made
