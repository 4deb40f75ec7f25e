"""Default outboxes: which is whose, and where events may wait unnoticed.

Each `api_url` and key has an outbox of its own. Once one of them is mended or replaced, what
waits under the old one is in a file that nobody opens: hence it is looked for, and told of.
"""

from __future__ import annotations

import logging
import os
import shlex
import sqlite3
import stat
from contextlib import closing
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any

from segops_durable.errors import SegOpsError, StrandedEventsError
from segops_durable.errors.plain_text import visible
from segops_durable.identity import normal_url
from segops_durable.outbox.places import default_directories, outboxes_in
from segops_durable.outbox.records.notes import is_believed
from segops_durable.outbox.records.schema import QUEUE, UNSEALED_VERSION
from segops_durable.outbox.sender_lock import SenderLock
from segops_durable.outbox.store.boundary import open_read_only
from segops_durable.system.trusted_paths import real_path

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from segops_durable.outbox.outbox import Outbox

_log = logging.getLogger("segops_durable")

_MOST = 100
"""Files that a client looks into when it starts: where there are more, it is a server's."""

_OWNER = "SELECT * FROM meta WHERE name IN ('api_url', 'key') ORDER BY name"
_VERSION = "PRAGMA user_version"
_LAST_ID = f"max(coalesce((SELECT max(_id) FROM {QUEUE}), 0), last_id)"
_OLD_LAST_ID = f"coalesce((SELECT seq FROM sqlite_sequence WHERE name = '{QUEUE}'), 0)"
_WAITING = f"SELECT max({{}} - removed, EXISTS (SELECT 1 FROM {QUEUE})) FROM tally"
_DEAD = "SELECT count(*) FROM dead_letters"


@dataclass(frozen=True)
class Leftover:
    """An outbox that this client does not send from, with something in it.

    Attributes:
        path: The file.
        api_url: Whose events these are; empty where it does not say.
        key_fingerprint: A hash of the key that it was used with last.
        waiting: Events that wait.
        dead: Dead letters.
        is_sent: Whether a client runs that sends from it.
        problem: Why it cannot be read; empty where it can.
    """

    path: Path
    api_url: str = ""
    key_fingerprint: str = ""
    waiting: int = 0
    dead: int = 0
    is_sent: bool = False
    problem: str = ""

    def as_error(self, api_url: str, key_fingerprint: str) -> StrandedEventsError:
        """What to tell a client of that `api_url` and key."""
        command = f"segops-durable adopt {shlex.quote(str(self.path))}"
        if self.problem:
            text = f"events may wait in {self.path}, which cannot be read: {visible(self.problem)}"
            hint = f"segops-durable doctor --queue-path {shlex.quote(str(self.path))}"
        else:
            whose = [f"for {visible(self.api_url)}"] if self.api_url != api_url else []
            whose += ["under another API key"] if self.key_fingerprint != key_fingerprint else []
            what = " ".join(whose) or "for the same key, in another place"
            text = f"{self.waiting} events wait in {self.path}, tracked {what}"
            text += f", and {self.dead} dead letters" if self.dead else ""
            hint = f"To send them here: {command}"
        return StrandedEventsError(
            text, path=str(self.path), api_url=self.api_url, waiting=self.waiting, hint=hint
        )


def owner_of(path: Path) -> tuple[str, str] | None:
    """The `api_url` of an outbox and the fingerprint of its key; None if it does not say."""
    try:
        return _owner(_read(path, _OWNER))
    except Exception:  # noqa: BLE001 - whatever it holds, it stops no healthy client
        return None


def find_outbox(path: Path, api_url: str, key_fingerprint: str) -> Path:
    """The outbox of a key: `path`, or the one that was given this key while it was open.

    Or that of an older version, for which another spelling of the address was another one.
    """
    if os.path.exists(path):  # noqa: PTH110 - Path's own raises in a directory of somebody else
        return path
    for other in outboxes_in(path.parent):
        if owner_of(other) == (api_url, key_fingerprint):
            return other
    return path


def tell_of_leftovers(outbox: Outbox, key_fingerprint: str, *, is_heard: bool) -> None:
    """Log, and report, where else events wait that no client sends. For a client's start.

    Args:
        outbox: The client's own.
        key_fingerprint: Of the client's key.
        is_heard: Whether the application hears of errors; else they are in the log already.
    """
    for leftover in find_leftovers(outbox.path, is_thorough=False):
        if not leftover.is_sent:
            error = leftover.as_error(outbox.owner.api_url, key_fingerprint)
            _log.warning("%s", error)
            if is_heard:
                outbox.tell(error)


def find_leftovers(path: Path, *, is_thorough: bool) -> Iterator[Leftover]:
    """Yield the default outboxes but for `path` that hold something, or cannot be read.

    Whatever is wrong with one of them is no reason not to go on.

    Args:
        path: The client's own.
        is_thorough: As `default_directories` has it, and however many there are.
    """
    own = os.path.realpath(path)
    directories = default_directories(is_thorough=is_thorough)
    others = (other for each in directories for other in outboxes_in(each))
    for other in others if is_thorough else islice(others, _MOST):
        if os.path.realpath(other) != own:
            found = look_into(other)
            if found.waiting or found.dead or found.problem:
                yield found


def look_into(path: Path) -> Leftover:
    """What an outbox holds, and whose it is; it is not changed."""
    try:
        found = path.stat()
        if stat.S_ISREG(found.st_mode) and not found.st_size:  # it was just being made
            return Leftover(path)
        owner = _owner(_read(path, _OWNER))
        is_old = _count(_read(path, _VERSION)) <= UNSEALED_VERSION
        waiting = _count(_read(path, _WAITING.format(_OLD_LAST_ID if is_old else _LAST_ID)))
        dead = _count(_read(path, _DEAD))
    except Exception as error:  # noqa: BLE001 - whatever it holds, it stops no healthy client
        return Leftover(path, problem=str(error) or type(error).__name__)
    if owner is None:
        return Leftover(path, problem="it does not say whose it is")
    return Leftover(path, *owner, waiting=waiting, dead=dead, is_sent=_is_sent(path))


def _owner(records: list[Any]) -> tuple[str, str] | None:
    found = [record[1] for record in records if is_believed(record)]
    if len(found) != len(("api_url", "key")) or not all(isinstance(each, str) for each in found):
        return None
    return normal_url(found[0]), found[1]


def _count(found: list[Any]) -> int:
    count = found[0][0] if found else None
    return count if isinstance(count, int) and count > 0 else 0


def _is_sent(path: Path) -> bool:
    try:
        return SenderLock(path).note() is not None
    except (OSError, SegOpsError):  # this user may not look
        return False


def _read(path: Path, sql: str) -> list[Any]:
    path = real_path(path)  # SQLite would make a file beside what a stranger's link leads root to
    if not stat.S_ISREG(path.stat().st_mode):  # SQLite would wait for a pipe for ever
        raise sqlite3.OperationalError("it is no regular file")
    log = path.with_name(path.name + "-wal")
    is_idle = not log.exists() or not log.stat().st_size
    with closing(open_read_only(path, timeout=1, is_idle=is_idle)) as file:
        return file.execute(sql).fetchall()
