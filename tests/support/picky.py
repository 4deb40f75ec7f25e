"""A SegOps that refuses poison, and keeps the keys of what it accepted."""

from __future__ import annotations

from support.peer import Peer, Request, answer


class Picky(Peer):
    """A SegOps that refuses a batch as a whole if it holds an event that it does not like."""

    def __init__(self, poison: set[int], refusal: bytes) -> None:
        super().__init__(self._pick)
        self.poison = poison
        self.refusal = refusal

    def _pick(self, request: Request) -> bytes:
        if self.poison.intersection(request.numbers):
            return self.refusal
        return self.accept(request)


REFUSAL = answer(400, {"payload": ["Not like this."]})
