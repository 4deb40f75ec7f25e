"""A server's moods: what becomes of a batch, now and then other than well."""

from __future__ import annotations

import threading
from collections import Counter
from typing import TYPE_CHECKING

from proof.events import POISON
from proof.recorder import Reply

if TYPE_CHECKING:
    import random

    from proof.recorder import Request

_POISON = f'"{POISON}":true'.encode()
_MOST_BYTES = 1500
_MOODS = {
    "error": Reply(500),
    "bad gateway": Reply(503),
    "too early": Reply(429, retry_after=0),
    "throttled": Reply(429, retry_after=1),
    "lost answer": Reply(is_heard=False),
    "lost request": Reply(500, is_heard=False),
    "slow drip": Reply(drips=True),
}


class Weather:
    """Decides about batches; several threads may ask.

    Args:
        chance: What decides; of its own, as the threads ask in any order.
    """

    def __init__(self, chance: random.Random) -> None:
        self._chance = chance
        self._lock = threading.Lock()
        self.badness = 0.0
        """How often a batch does not just go well: 0 to 1."""
        self.is_narrow = False
        """Whether a large batch is too large."""
        self.met: Counter[str] = Counter()

    def clear(self) -> None:
        """Let all go well, but for what can never go well."""
        self.badness, self.is_narrow = 0.0, False

    def react(self, request: Request) -> Reply:
        """Decide about a batch."""
        with self._lock:
            mood, reply = self._decide(request.body)
            self.met[mood] += 1
            return reply

    def _decide(self, body: bytes) -> tuple[str, Reply]:
        if self.is_narrow and len(body) > _MOST_BYTES:
            return "too large", Reply(413)
        if self._chance.random() < self.badness:
            mood = self._chance.choice(list(_MOODS))
            if mood != "throttled" or self._chance.random() < self.badness / 4:
                return mood, self._if_poisoned(body, _MOODS[mood])
        return "well", self._if_poisoned(body, Reply())

    @staticmethod
    def _if_poisoned(body: bytes, reply: Reply) -> Reply:
        if _POISON not in body or not reply.is_success:
            return reply
        return Reply(400, reply.is_heard, reply.drips)
