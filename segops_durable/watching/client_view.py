"""What a page shows of a client and its outbox."""

from __future__ import annotations

import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING

from segops_durable.api import Watch
from segops_durable.client import SegOpsClient
from segops_durable.errors import ClosedError, ConfigurationError, StorageError
from segops_durable.page import READ_BYTES, Glance, Letter, cut, shown_event
from segops_durable.watching.history import History, Sample
from segops_durable.watching.recent import MOST, Recent
from segops_durable.watching.sentences import details_of, sentence_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from segops_durable.aio import AsyncSegOpsClient
    from segops_durable.delivery import Stats
    from segops_durable.outbox import DeadLetter

_LETTERS = 25
_AGAIN_SECONDS = 1.0
_LONGEST_LETTER = 2000


class ClientView:
    """Says how a client stands; a `page.View`, and `page.Letters`.

    While nobody looks, a thread notes four numbers each 15 seconds, for the chart of the last
    hour; it ends with the client, or when this is closed. While somebody does, requests are seen as
    they are made.

    Args:
        client: The client; an asynchronous one has to be started before. It is not shut down with
            this.

    Raises:
        ConfigurationError: It is an asynchronous client that is not started.
    """

    def __init__(self, client: SegOpsClient | AsyncSegOpsClient) -> None:
        # what a loop's client stores and sends by is a client of this kind within it
        opened = client if isinstance(client, SegOpsClient) else client._inner  # noqa: SLF001 - of our own package, as below
        if opened is None:
            raise ConfigurationError(
                "the client cannot be looked at before it is started",
                field="client",
                hint="await client.start(), then ClientView(client)",
            )
        self._client = opened
        self._outbox = opened._outbox  # noqa: SLF001
        self._history = History()
        self._recent = Recent()
        self._letters: dict[int, DeadLetter] = {}
        self._letters_key = (-1, -1)
        self._shown_letters: tuple[Letter, ...] = ()
        self._stored = 0
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._note, name="segops-page", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Note no more. Safe to call twice; waits for nothing."""
        self._closing.set()

    # As `page.View` has it

    def begin(self) -> None:
        """See requests from now on, and what has waited before."""
        self._client._show_to(Watch(self._recent))  # noqa: SLF001
        self._stored = self._outbox.waiting.counts().last_id
        self._note_left("it left while nobody looked")

    def end(self) -> None:
        """See requests no more."""
        with suppress(ClosedError):
            self._client._show_to(None)  # noqa: SLF001

    def look(self) -> Glance:
        """Say how it stands."""
        stats = self._client.stats()
        sample = self._sample()
        self._read_letters(stats.dead)
        unlisted = self._read_events(sample)
        came, left = self._history.rates()
        return Glance(
            at=round(sample.at, 3),
            state=stats.state.value,
            sentence=sentence_of(stats),
            details=details_of(stats),
            next_at=None if stats.retry_at is None else round(stats.retry_at.timestamp(), 3),
            figures=_figures(stats, came, left),
            points=self._history.points(),
            live=self._history.live(),
            events=self._recent.lines(),
            unlisted=unlisted,
            letters=self._shown_letters,
            facts={"outbox": str(self._outbox.path), "api_url": self._outbox.owner.api_url},
        )

    # As `page.Letters` has it

    def older(self, before: int, limit: int) -> list[Letter]:
        """Letters with lower numbers, newest first."""
        found = self._outbox.dead_letters.latest(limit, before=before)
        return [_shown(letter) for _row_id, letter in found]

    def retry(self, ids: Sequence[int] | None) -> int:
        """Put letters back."""
        return self._client.retry_dead_letters(ids)

    def discard(self, ids: Sequence[int]) -> int:
        """Remove letters for good."""
        return self._client.discard_dead_letters(ids)

    # Reading

    def _note(self) -> None:
        with suppress(ClosedError):
            while not self._closing.wait(self._history.seconds_to_wait(time.monotonic())):
                self._client._check_open()  # noqa: SLF001
                self._sample_if_it_can_be_read()

    def _sample_if_it_can_be_read(self) -> None:
        try:
            self._sample()
        except StorageError:  # the sender tells of it; here it is tried again
            self._closing.wait(_AGAIN_SECONDS)

    def _sample(self) -> Sample:
        counts = self._outbox.waiting.counts()
        sample = Sample.of(counts, time.time(), time.monotonic())
        self._history.add(sample)
        return sample

    def _read_events(self, sample: Sample) -> int:
        """See what came and what left; return how many came and are not listed."""
        newest = self._recent.newest_id()
        heads = self._outbox.waiting.latest(MOST, after=newest, longest=READ_BYTES)
        self._recent.note_waiting(heads)
        self._note_left("another process sent it, or it was removed")
        came, self._stored = max(0, sample.stored - self._stored), sample.stored
        return max(0, came - MOST)

    def _note_left(self, otherwise: str) -> None:
        on_disk = self._recent.on_disk()
        left = set(on_disk) - self._outbox.waiting.still(on_disk)
        self._recent.note_left(left, self._letters, otherwise)

    def _read_letters(self, dead: int) -> None:
        """Read the newest letters, by the ids that they had in the queue, if they are others."""
        key = (dead, self._outbox.dead_letters.newest_id())
        if key != self._letters_key:
            found = self._outbox.dead_letters.latest(_LETTERS)
            self._shown_letters = tuple(_shown(letter) for _row_id, letter in found)
            self._letters, self._letters_key = dict(found), key


def _figures(stats: Stats, came: float, left: float) -> dict[str, float | None]:
    oldest = stats.oldest_age
    return {
        "waiting": stats.pending,
        "oldest": None if oldest is None else round(oldest, 1),
        "rate_in": round(came, 2),
        "rate_out": round(left, 2),
        "dead": stats.dead,
        "held": sum(stats.held.values()),
        "accepted": stats.accepted_total,
        "lost": stats.lost_total + stats.dropped_total,
        "bytes": stats.queue_bytes,
        "per_minute": stats.requests_per_minute,
        "last_accepted": None
        if stats.last_accepted_at is None
        else round(stats.last_accepted_at.timestamp(), 3),
    }


def _shown(letter: DeadLetter) -> Letter:
    event = shown_event(letter.data[:READ_BYTES], len(letter.data), _LONGEST_LETTER)
    return Letter(
        id=letter.id,
        at=letter.tracked_at.timestamp(),
        died_at=letter.died_at.timestamp(),
        user=event.user,
        kind=event.kind,
        text=event.text,
        cause=letter.cause.value,
        status=letter.status,
        words=cut(letter.reason, _LONGEST_LETTER),
        answer=cut(letter.answer, _LONGEST_LETTER),
    )
