"""Whose an outbox is, and who it is: the identities that are kept in the file."""

from __future__ import annotations

import re
import shlex
import uuid
from typing import TYPE_CHECKING, NamedTuple

from segops_durable.errors import ConfigurationError, CopiedOutboxError
from segops_durable.identity import normal_url
from segops_durable.outbox.records.generations import (
    GENERATIONS,
    as_text,
    generations_from,
    with_new,
)
from segops_durable.outbox.records.notes import read_note, read_notes, write_note
from segops_durable.outbox.records.origin import Copied, compared, merged, origin_from, origin_of
from segops_durable.outbox.records.schema import QUEUE
from segops_durable.outbox.records.seals import put
from segops_durable.outbox.records.tally import count_rows, standing

if TYPE_CHECKING:
    import sqlite3
    from pathlib import Path

_ORIGIN = "origin"
_KEPT: dict[Copied | None, tuple[str, ...]] = {
    None: ("uuid", "anonymous_id"),
    Copied.ON_THIS_MACHINE: ("anonymous_id",),  # the visitor is still the same
    Copied.FROM_ANOTHER_MACHINE: (),
}
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


class Bound(NamedTuple):
    """Who an outbox is.

    Attributes:
        uuid: Its own, the first part of its batches' keys.
        copied: What to tell where the file turned out to be a copy; else None.
        is_key_new: Whether another key was used before.
    """

    uuid: str
    copied: CopiedOutboxError | None
    is_key_new: bool


def bind(
    writer: sqlite3.Connection, path: Path, api_url: str, key_fingerprint: str, given: str | None
) -> Bound:
    """Make sure that a file is for this `api_url`, or make it so; give a copy its own identity.

    Args:
        writer: The open file.
        path: Where it is.
        api_url: Whose events these are.
        key_fingerprint: A hash of the API key, to notice that it was rotated.
        given: The UUID that it has to have, copied or not; None where that is its own affair.

    Raises:
        ConfigurationError: It belongs to another.
    """
    notes = read_notes(writer)
    # an older version wrote it down as it was spelled
    if normal_url(notes.get("api_url", api_url)) != normal_url(api_url):
        raise ConfigurationError(
            f"the outbox {path} holds events for {notes['api_url']}, got {api_url!r}",
            field="api_url",
            hint="If it has moved there: segops-durable adopt --queue-path "
            f"{shlex.quote(str(path))} --api-url {shlex.quote(api_url)}. "
            "If both are in use, give each its own queue_path",
        )
    is_key_new = notes.get("key", key_fingerprint) != key_fingerprint
    known = origin_from(notes.get(_ORIGIN))
    now = origin_of(path, None if known is None else known.salt)
    how = None if known is None else compared(known, now)
    ours: dict[str, str] = {
        "uuid": str(uuid.uuid4()),
        "anonymous_id": str(uuid.uuid4()),
        **{name: notes[name] for name in _KEPT[how] if _is_uuid(notes.get(name))},
        **({} if given is None else {"uuid": given}),
        "api_url": api_url,
        "key": key_fingerprint,
        _ORIGIN: (now if known is None or how else merged(known, now)).as_text(),
    }
    if how is not None:
        ours[GENERATIONS] = as_text([])  # by its UUID it is told apart already
    elif known is not None and known.boot != now.boot:
        ours[GENERATIONS] = _next_generation(writer, notes.get(GENERATIONS))
    if not ours.items() <= notes.items():
        writer.execute("BEGIN IMMEDIATE")
        put(writer, "meta", ours.items())
        writer.execute("COMMIT")
    copied = None if how is None or given is not None else _copied(writer, path, how)
    return Bound(ours["uuid"], copied, is_key_new)


def _next_generation(writer: sqlite3.Connection, known: str | None) -> str:
    last_id = standing(writer).last_id
    (oldest_id,) = writer.execute(f"SELECT min(_id) FROM {QUEUE}").fetchone()
    return as_text(with_new(generations_from(known), last_id, oldest_id or last_id + 1))


def rebind(writer: sqlite3.Connection, api_url: str, key_fingerprint: str) -> None:
    """Write down another `api_url` and key, within the caller's transaction."""
    put(writer, "meta", [("api_url", api_url), ("key", key_fingerprint)])


def make_successor(writer: sqlite3.Connection) -> None:
    """Let a file that was made of what another held not be taken for a copy of it."""
    known = origin_from(read_note(writer, _ORIGIN))
    if known is not None:
        write_note(writer, _ORIGIN, known.without_file().as_text())


def renew_anonymous_id(writer: sqlite3.Connection) -> str:
    """Make a new id for the device's visitor, within the caller's transaction; return it."""
    anonymous_id = str(uuid.uuid4())
    write_note(writer, "anonymous_id", anonymous_id)
    return anonymous_id


def _copied(writer: sqlite3.Connection, path: Path, how: Copied) -> CopiedOutboxError:
    waiting = count_rows(writer)
    is_other = how is Copied.FROM_ANOTHER_MACHINE
    also = ", and visitors of this machine get an anonymous id of their own" if is_other else ""
    return CopiedOutboxError(
        f"the outbox {path} was {how.value}: it has an identity of its own from now on{also}; "
        f"{waiting} events wait in it that the other may send as well",
        path=str(path),
        waiting=waiting,
        is_from_another_machine=is_other,
        hint="Before a machine is made an image of, stop what tracks and delete the outbox",
    )


def _is_uuid(value: str | None) -> bool:
    """Whether it is one: it goes into a header, whatever an older version's file says."""
    return value is not None and _UUID.fullmatch(value) is not None
