"""A SegOps for public keys whose tokens, clock and moods a test has in its hands."""

from __future__ import annotations

import json
from datetime import datetime, timezone
from email.utils import formatdate
from typing import TYPE_CHECKING, Any

from support.peer import Peer, Request, answer

if TYPE_CHECKING:
    from collections.abc import Callable

SESSION = "/api/auth/session/"


class Sessions(Peer):
    """Mints a token for whoever asks, and accepts events with the newest token of each.

    Args:
        now: Its clock.

    Attributes:
        mints: For whom tokens were minted, in order.
        arrived: (whom it was tracked for, whom it was attributed to) of each event.
        refused: Answers to give to the next batches, instead of accepting them.
        moods: What to answer to the mint of a user, instead of a token.
        on_batch: Called before each batch is answered.
        on_mint: Called before each token is handed out.
    """

    def __init__(self, now: Callable[[], float]) -> None:
        super().__init__(self._serve_request)
        self.now = now
        self.mints: list[str] = []
        self.arrived: list[tuple[str | None, str]] = []
        self.batches: list[tuple[str, str, bytes]] = []
        self.refused: list[bytes | None] = []
        self.moods: dict[str, bytes] = {}
        self.on_batch: Callable[[], object] = lambda: None
        self.on_mint: Callable[[], object] = lambda: None
        self._valid: dict[str, tuple[str, float]] = {}

    def _serve_request(self, request: Request) -> bytes | None:
        if SESSION in request.line:
            return self._mint(json.loads(request.body))
        return self._take(request)

    def _mint(self, fields: dict[str, Any]) -> bytes:
        uid = fields.get("user_id") or fields["anonymous_id"]
        if uid in self.moods:
            return self.moods[uid]
        self.mints.append(uid)
        self.on_mint()
        token = f"{uid}.{len(self.mints)}"
        end = self.now() + 900
        self._valid[token] = (uid, end)
        expires_at = datetime.fromtimestamp(end, timezone.utc).isoformat()
        document = {"token": token, "expires_at": expires_at, "uid": uid}
        return answer(200, document, {"Date": formatdate(self.now(), usegmt=True)})

    def _take(self, request: Request) -> bytes | None:
        token = request.headers["authorization"].removeprefix("Bearer ")
        uid, end = self._valid.get(token, ("", 0.0))
        self.on_batch()
        if self.now() >= end:
            return answer(401, {"detail": "The token has expired."})
        self.batches.append((request.key, uid, request.body))
        if self.refused:
            return self.refused.pop(0)
        events = json.loads(request.body)["events"]
        self.arrived += [(each["payload"]["by"], uid) for each in events]
        return answer(202, {"queued": len(events), "skipped": 0})
