"""Settings that are read again: whatever goes wrong, the service goes on, and hears the next."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import pytest

from segops_durable.cli.service.reloading import Reloading, Settings
from segops_durable.client import Options

if TYPE_CHECKING:
    from collections.abc import Callable

BEFORE = Settings(Options(api_url="http://127.0.0.1:9", api_key="sk_one"), {})
AFTER = Settings(Options(api_url="http://127.0.0.1:9", api_key="sk_two"), {})


def fail(_key: str) -> Any:
    raise RuntimeError("no loop")


def refuse() -> Any:
    raise AttributeError("of a setting of an odd type")


@pytest.mark.parametrize(("read", "use"), [(refuse, lambda _key: None), (lambda: AFTER, fail)])
def test_an_error_of_any_kind_changes_nothing_and_is_logged(
    read: Callable[[], Settings], use: Callable[[str], Any], caplog: pytest.LogCaptureFixture
) -> None:
    reads = iter((read, lambda: AFTER))

    def read_next() -> Settings:
        return next(reads)()

    reloading = Reloading(read_next, BEFORE)
    reloading.run(use)
    assert [each.levelno for each in caplog.records] == [logging.ERROR]
    used: list[str] = []
    reloading.run(used.append)
    assert used == ["sk_two"]
