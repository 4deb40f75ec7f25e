"""The table of dead letters: nothing leaves it but by the user's word."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from segops_durable.errors import ConfigurationError, DamagedEventError
from segops_durable.errors.plain_text import shown
from segops_durable.outbox.records.lanes import allow_lanes_found
from segops_durable.outbox.records.letters import Cause, DeadLetter, letter_from_record
from segops_durable.outbox.records.retried import note_retried
from segops_durable.outbox.records.rows import new_row
from segops_durable.outbox.records.schema import INSERT_ROW, LETTERS, SELECT_LETTERS
from segops_durable.outbox.records.seals import is_sealed
from segops_durable.outbox.records.tally import MOST_ID, standing
from segops_durable.outbox.records.typed import is_time
from segops_durable.outbox.records.walking import PAGE_ROWS, page_sql, read_page, walk
from segops_durable.system.clock import Moment

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Iterator, Sequence

    from segops_durable.errors import SegOpsError
    from segops_durable.outbox.store.store import Store
    from segops_durable.system.clock import Clock

_MOST_NAMED = 20
_UNDELIVERED = {Cause.REFUSED.value, Cause.TOO_LARGE.value, Cause.EXPIRED.value}

_READ = page_sql(SELECT_LETTERS)
_SELECT = f"{SELECT_LETTERS} WHERE _id = ?"
_LATEST = f"{SELECT_LETTERS} WHERE _id < ? ORDER BY _id DESC LIMIT ?"


class DeadLetters:
    """Reads dead letters, puts them back, and removes them.

    Args:
        store: The open outbox file.
        clock: When letters are put back.
        tell: Called once for each letter that turns out not to be what was written.
    """

    def __init__(self, store: Store, clock: Clock, tell: Callable[[SegOpsError], None]) -> None:
        self._store = store
        self._clock = clock
        self._tell = tell
        self._told: set[int] = set()

    def __iter__(self) -> Iterator[DeadLetter]:
        """Yield all of them, oldest first; a page is read at a time."""
        for page in walk(self._store.look, _READ):
            self._tell_of_damaged(page)
            for number, *record in page:
                yield letter_from_record(number, record)

    def newest_id(self) -> int:
        """The number of the newest of them; 0 if there is none."""
        newest = self._store.read(f"SELECT max(_id) FROM {LETTERS}")[0][0]
        return newest if isinstance(newest, int) else 0

    def latest(self, limit: int, *, before: int = MOST_ID) -> list[tuple[int, DeadLetter]]:
        """The newest of them, newest first, each with the id that it had in the queue.

        Args:
            limit: Letters at most.
            before: Only those with a lower number, of any size. Defaults to all.
        """
        # beyond 64 bits it would fail as a damaged file does, and a sound one be set aside
        found = self._store.read(_LATEST, (max(0, min(before, MOST_ID)), limit))
        return [
            (row_id if isinstance(row_id, int) else 0, letter_from_record(number, (row_id, *rest)))
            for number, row_id, *rest in found
        ]

    def retry(self, ids: Iterable[int] | None = None) -> int:
        """Put letters back at the end of the queue, where their age counts anew; return how many.

        One that is not what was stored stays: neither its bytes nor its user can be believed.

        Args:
            ids: Which; None for those of which SegOps has certainly accepted nothing.

        Raises:
            ConfigurationError: An id is no integer.
        """
        if ids is None:
            return self._retry_undelivered()
        return self._in_chunks(ids, self._put_back)

    def discard(self, ids: Iterable[int]) -> int:
        """Remove letters for good; return how many there were.

        Raises:
            ConfigurationError: An id is no integer.
        """
        return self._in_chunks(ids, _remove)

    def _retry_undelivered(self) -> int:
        count, start = 0, 0

        def put_page_back(writer: sqlite3.Connection) -> tuple[int, int | None]:
            page = read_page(writer, _READ, start)
            chosen = [each for each in page if _cause(each) in _UNDELIVERED]
            self._tell_of_damaged(page)
            return _put_back(writer, chosen, self._clock.moment()), page[-1][
                0
            ] + 1 if page else None

        following: int | None = start
        while following is not None and following <= MOST_ID:
            start = following
            put, following = self._store.transact(put_page_back)
            count += put
        return count

    def _put_back(self, writer: sqlite3.Connection, letters: list[Any]) -> int:
        self._tell_of_damaged(letters)
        return _put_back(writer, letters, self._clock.moment())

    def _tell_of_damaged(self, letters: list[Any]) -> None:
        """Tell of letters that the disk has altered: in a list of many nobody would see them."""
        found = {each[0] for each in letters if not is_sealed(LETTERS, each[1:])} - self._told
        if found:
            self._told |= found
            numbers = ", ".join(map(str, sorted(found)[:_MOST_NAMED]))
            self._tell(
                DamagedEventError(
                    f"{len(found)} dead letters are not what was written: {numbers}",
                    batch_size=len(found),
                    hint="They are shown, and never sent again; check the disk",
                )
            )

    def _in_chunks(
        self, ids: Iterable[int], act: Callable[[sqlite3.Connection, list[Any]], int]
    ) -> int:
        """Do something with letters, some at a time, each lot in one transaction."""
        checked = checked_ids(ids)
        count = 0
        for start in range(0, len(checked), PAGE_ROWS):
            chosen = sorted(set(checked[start : start + PAGE_ROWS]))

            def act_on_them(writer: sqlite3.Connection, chosen: list[int] = chosen) -> int:
                read = (writer.execute(_SELECT, (each,)).fetchone() for each in chosen)
                return act(writer, [letter for letter in read if letter is not None])

            count += self._store.transact(act_on_them)
        return count


def _put_back(writer: sqlite3.Connection, letters: list[Any], now: Moment) -> int:
    """Move letters, as they were read in this transaction, to the end of the queue.

    From now on their age counts: else what is too old would come back at once.
    """
    whole = [each for each in letters if _cause(each) not in {None, Cause.DAMAGED.value}]
    rows = [
        new_row(data, Moment(tracked_at), identity)
        for _number, _row_id, data, identity, tracked_at, *_ in whole
    ]
    if rows:
        writer.executemany(INSERT_ROW, rows)
        note_retried(writer, len(rows), now)
        allow_lanes_found(writer)
    return _remove(writer, whole)


def _remove(writer: sqlite3.Connection, letters: list[Any]) -> int:
    """Delete letters that were read in this transaction; their numbers are not given again."""
    if not letters:
        return 0
    before = standing(writer)
    ids = [letter[:1] for letter in letters]
    writer.executemany(f"DELETE FROM {LETTERS} WHERE _id = ?", ids)
    before.record(writer)
    return len(ids)


def _cause(letter: Sequence[Any]) -> str | None:
    """Why it is one; None if it is not what was written."""
    _number, _row_id, data, identity, tracked_at, _died_at, cause, *_ = letter
    is_whole = isinstance(data, bytes) and isinstance(identity, str) and is_time(tracked_at)
    return str(cause) if is_whole and is_sealed(LETTERS, letter[1:]) else None


def checked_ids(ids: Iterable[int]) -> list[int]:
    """The numbers of letters, as far as there can be such.

    Raises:
        ConfigurationError: One is no integer.
    """
    if not isinstance(ids, Iterable):
        problem = f"ids must be an iterable of integers, got {shown(ids)}"  # type: ignore[unreachable]  # callers are not checked
        raise ConfigurationError(problem, field="ids")
    return [_checked_id(each) for each in ids]


def _checked_id(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise ConfigurationError(f"ids must be integers, got {shown(value)}", field="ids")
    return max(-1, min(value, MOST_ID + 1))
