"""The way from the tasks of a loop to the writer.

The first task that has something asks its loop to hand it over when all that are ready have had
their turn. So a thousand that track at once wake the writer once, and share its commits; and one
that is alone waits for no more than a turn of its loop.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from segops_durable.aio.calls import Call, Work
    from segops_durable.aio.loops import Loop


class Outgoing:
    """What the tasks of one loop have for the writer, on the thread of that loop.

    Args:
        loop: Theirs.
        deliver: Takes it all.

    Attributes:
        loop: Theirs.
    """

    def __init__(self, loop: Loop, deliver: Callable[[list[Call | Work]], None]) -> None:
        self.loop = loop
        self._deliver = deliver
        self._items: list[Call | Work] = []
        self._is_asked_for = False

    def add(self, item: Call | Work) -> None:
        """Have something handed over with what the others have."""
        self._items.append(item)
        if not self._is_asked_for:
            self.loop.soon(self.hand_over)
            self._is_asked_for = True  # last: where Ctrl-C comes between, the next one asks again

    def hand_over(self) -> None:
        """Hand over what there is."""
        self._is_asked_for = False
        items, self._items = self._items, []
        if items:
            self._deliver(items)
