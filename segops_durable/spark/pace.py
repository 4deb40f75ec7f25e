"""A lane's turns: its requests are evenly spaced, from one task and one attempt to the next."""

from __future__ import annotations

import json
import time
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


class Turns:
    """Spaces the requests of a lane over all of its tasks.

    A micro-batch may be over in less than the time between two requests, and a task that was
    killed may have sent one that it has not noted. So the time is noted before a request may leave
    and after it; whoever finds no note, or that of one that has not come back, waits for a whole
    turn.

    Args:
        note: The file of the note.
        spacing: Seconds between two requests; 0 for none.
    """

    def __init__(self, note: Path, spacing: float) -> None:
        self._note = note
        self._spacing = spacing

    def seconds_to_wait(self) -> float:
        """How long the next request has to wait."""
        if not self._spacing:
            return 0.0
        try:
            found = json.loads(self._note.read_text(encoding="ascii"))
            passed = time.time() - float(found["at"])
            is_back = bool(found["is_back"])
        except (OSError, ValueError, TypeError, KeyError):
            return self._spacing
        if not is_back or passed < 0:
            return self._spacing
        return max(0.0, self._spacing - passed)

    def leave(self) -> None:
        """Note that a request may leave from now on."""
        self._write(is_back=False)

    def come_back(self) -> None:
        """Note that none is on its way any more."""
        self._write(is_back=True)

    def _write(self, *, is_back: bool) -> None:
        if not self._spacing:
            return
        with suppress(OSError):  # without a note a whole turn is waited for
            text = json.dumps({"at": time.time(), "is_back": is_back})
            self._note.write_text(text, encoding="ascii")
