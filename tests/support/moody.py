"""A SegOps that answers anything, and remembers what it did with each event."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

from support.peer import Peer, Request, answer

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

HTML = "<html>Welcome!</html>"
FIXED: dict[str, bytes | None] = {
    "refuse": answer(400, {"payload": ["Not like this."]}),
    "unprocessable": answer(422, {"detail": "Not like this."}),
    "too large": answer(413, {"detail": "Too large."}),
    "unauthorised": answer(401, {"detail": "Who are you?"}),
    "forbidden": answer(403, {"detail": "No."}),
    "missing": answer(404, {"detail": "Where?"}),
    "gone": answer(410, {"detail": "Gone."}),
    "timeout": answer(408, {"detail": "Too slow."}),
    "too early": answer(425, {"detail": "Too early."}),
    "throttled": answer(429, {"detail": "Slow down."}, {"Retry-After": "30"}),
    "throttled without a word": answer(429, {"detail": "Slow down."}),
    "error": answer(500, {"detail": "Oh."}),
    "bad gateway": answer(502, HTML, content_type="text/html"),
    "maintenance": answer(503, {"detail": "Back soon."}, {"Retry-After": "120"}),
    "portal": answer(200, HTML, content_type="text/html"),
    "redirect": answer(302, "", {"Location": "/login"}),
    "firewall": answer(403, HTML, content_type="text/html"),
    "miscount": answer(202, {"queued": 9999, "skipped": 0}),
    "half an answer": b"HTTP/1.1 202 Accepted\r\nContent-Type: application/json\r\nContent-Le",
    "nonsense": b"\x00\xff\r\n\r\n",
    "hang up": None,
}
BROKEN_OFF = {"half an answer", "nonsense", "hang up"}
KINDS = ("accept", "accept and hang up", "skip all", "skip some", *FIXED)


class Moody(Peer):
    """Answers as its mood is.

    Args:
        mood: Says the kind of each answer, out of `KINDS`.
    """

    def __init__(self, mood: Callable[[], str]) -> None:
        super().__init__(self._answer)
        self._mood = mood
        self.unheard: set[int] = set()  # accepted, and the answer got lost
        self.bodies: dict[str, bytes] = {}
        self.conflicts: list[str] = []  # keys that came with another body before
        self.on_request: Callable[[], None] = lambda: None

    def _answer(self, request: Request) -> bytes | None:
        if self.bodies.setdefault(request.key, request.body) != request.body:
            self.conflicts.append(request.key)
        self.on_request()
        kind = self._mood()
        numbers = request.numbers
        if kind in FIXED:
            if kind in BROKEN_OFF and self.socket is not None:
                self.socket.sendall(FIXED[kind] or b"")
                return None
            return FIXED[kind]
        skipped = {"skip all": len(numbers), "skip some": len(numbers) // 2}.get(kind, 0)
        taken = numbers[skipped:]
        self.accepted.update(taken)
        if kind == "accept and hang up":
            self.unheard.update(taken)
            return None
        return answer(202, {"queued": len(taken), "skipped": skipped})


def crash(queue_path: Path, copy: Path) -> None:
    """Copy what a crash at this instant would leave: the file, and SQLite's log of it.

    Another process copies: to open and close the file in this one would drop SQLite's locks.
    """
    copy.parent.mkdir()
    files = [queue_path, queue_path.with_name(queue_path.name + "-wal")]
    subprocess.run(["cp", *files, copy.parent], check=True)
