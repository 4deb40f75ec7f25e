"""What the tests of the wire share."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest
import requests

from segops_durable.api.exchange import Exchange
from support.wire import HANDED_IN, OWN

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@pytest.fixture(params=[OWN, HANDED_IN])
def connect(request: pytest.FixtureRequest) -> Iterator[Callable[..., Exchange]]:
    """Makes exchanges, over both kinds of session."""
    with ExitStack() as open_ones:

        def make(url: str, timeout: float = 20.0) -> Exchange:
            session = None
            if request.param == HANDED_IN:
                session = open_ones.enter_context(requests.Session())
            exchange = Exchange(url, timeout=timeout, user_agent="test", session=session)
            open_ones.callback(exchange.close)
            return exchange

        yield make


@pytest.fixture
def own() -> Iterator[Callable[..., Exchange]]:
    """Makes exchanges over connections of their own."""
    with ExitStack() as open_ones:

        def make(url: str, timeout: float = 20.0) -> Exchange:
            exchange = Exchange(url, timeout=timeout, user_agent="test")
            open_ones.callback(exchange.close)
            return exchange

        yield make
