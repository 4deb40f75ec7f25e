"""Objects that are known for as long as they live, without being kept alive by it."""

from __future__ import annotations

from typing import Generic, TypeVar
from weakref import WeakValueDictionary

_T = TypeVar("_T")


class Living(Generic[_T]):
    """Knows objects; any thread may add one while another looks at them.

    A `WeakSet` is no use: whoever goes through it meets a RuntimeError when one is added.
    """

    def __init__(self) -> None:
        self._by_id: WeakValueDictionary[int, _T] = WeakValueDictionary()

    def add(self, one: _T) -> None:
        """Know an object from now on."""
        self._by_id[id(one)] = one

    def now(self) -> list[_T]:
        """Those that there are now."""
        # the list of references is made in one step of the interpreter
        found = [reference() for reference in self._by_id.valuerefs()]
        return [each for each in found if each is not None]
