"""Silence of the libraries below, on a thread that sends.

A handler that tracks what it logs, at DEBUG, would be fed by the lines about its own events'
request: for ever. Other threads' lines, and the program's settings, are not touched.
"""

from __future__ import annotations

import logging
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_FAMILIES = (
    "charset_normalizer",
    "chardet",
    "idna",
    "persistqueue",
    "requests",
    "socks",
    "urllib3",
)


class _OfOtherThreads(logging.Filter):
    """Lets the records of all threads pass but of those that are quiet."""

    def __init__(self) -> None:
        super().__init__()
        self.here = threading.local()
        self._known = 0

    def filter(self, record: logging.LogRecord) -> bool:  # noqa: ARG002 - the thread decides
        return not getattr(self.here, "is_quiet", False)

    def attend(self) -> None:
        """Stand before all loggers of those libraries, also those made since the last time."""
        loggers = logging.root.manager.loggerDict
        if len(loggers) == self._known:
            return
        self._known = len(loggers)
        for name, logger in list(loggers.items()):
            if name.partition(".")[0] in _FAMILIES and isinstance(logger, logging.Logger):
                logger.addFilter(self)  # which does nothing where it is already


_FILTER = _OfOtherThreads()


@contextmanager
def quiet() -> Iterator[None]:
    """Keep what the libraries below log on this thread from every handler."""
    _FILTER.attend()
    before = getattr(_FILTER.here, "is_quiet", False)
    _FILTER.here.is_quiet = True
    try:
        yield
    finally:
        _FILTER.here.is_quiet = before
