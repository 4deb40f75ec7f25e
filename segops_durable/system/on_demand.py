"""Faces of which each room is entered when somebody asks for what is in it (PEP 562).

To import the package, or one wing for a word of it, does not take the time of all: what sends and
stores is loaded when a client is opened, and what reads files when one is imported.
"""

from __future__ import annotations

import sys
from contextlib import contextmanager
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from segops_durable.system.locks import ProcessLock


def on_demand(
    face: str, rooms: Mapping[str, str]
) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """Make the `__getattr__` and the `__dir__` of a face.

    Args:
        face: The name of the module that is the face.
        rooms: The names that it has, with spaces between them, by the module that each is in.
    """
    homes = {name: room for room, names in rooms.items() for name in names.split()}

    def find(name: str) -> Any:  # noqa: ANN401 - whatever is there
        if name not in homes:
            raise AttributeError(f"module {face!r} has no attribute {name!r}")
        found = getattr(import_module(homes[name]), name)
        setattr(sys.modules[face], name, found)  # asked once
        return found

    def names() -> list[str]:
        return sorted({*vars(sys.modules[face]), *homes})

    return find, names


@contextmanager
def loading() -> Iterator[None]:
    """Have the forks of other threads wait while something is loaded when the program runs.

    A child would else wait for ever for what is half loaded, as whoever loads it is not there.
    """
    with _lock().turn:
        yield


def heed_forks() -> None:
    """Have forks wait from now on for whoever loads something."""
    _lock()


@cache
def _lock() -> ProcessLock:
    """Make it when it is first wanted.

    Not before: of what is done before a fork the last that was registered is done first. Whoever
    waits here must not hold yet what others registered, `logging` its lock, which may be wanted
    by what is loaded. (Two of them, if two threads are the first, do no harm.)
    """
    from segops_durable.system.locks import ProcessLock  # noqa: PLC0415 - nor does the package

    return ProcessLock()
