"""The outbox: whether it is one, is whole, and how it stands."""

from __future__ import annotations

import shlex
import sqlite3
from typing import TYPE_CHECKING, Any

from segops_durable.cli.configuration import NO_KEY, Configuration
from segops_durable.cli.diagnosis.finding import Finding, Grade
from segops_durable.cli.diagnosis.machine import look_at_file, look_at_space
from segops_durable.cli.elsewhere import as_error, leftovers
from segops_durable.cli.output import duration
from segops_durable.cli.standing import how_it_stands
from segops_durable.cli.workspace import opened_outbox
from segops_durable.errors import ConfigurationError, StorageError
from segops_durable.outbox import (
    damaged_copies,
    finished_copies,
    is_unused,
    refuse_damaged,
    refuse_stranger,
    scan,
    scan_records,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_MOST_NAMES = 20


def look_at_outbox(configuration: Configuration, path: Path) -> Iterator[Finding]:
    """Whether there is an outbox, of ours and whole, and how it stands."""
    stranger = _stranger(path)
    if stranger is not None:
        yield stranger
    elif path.exists() and not is_unused(path):
        yield from look_at_file(path)
        yield look_at_space(path)
        damage = _damage(path)
        yield damage
        yield from _records(path)
        yield from _copies(path)
        if damage.grade is Grade.OK:
            yield from _standing(configuration)
    else:
        yield Finding(
            "outbox", Grade.NOTE, f"there is none at {path}", "It is made by the first event"
        )


def _stranger(path: Path) -> Finding | None:
    """A file that never was an outbox: SQLite is not to open it either."""
    try:
        refuse_stranger(path)
    except ConfigurationError as error:
        return Finding("outbox", Grade.FAILED, error.message, error.hint)
    except OSError:  # it cannot be read: `look_at_file` says so
        return None
    return None


def look_for_leftovers(configuration: Configuration, path: Path) -> Iterator[Finding]:
    """Other outboxes where events wait."""
    for each in leftovers(path):
        told = as_error(each, configuration)
        is_sent = ", and a client is sending them" if each.is_sent else ""
        yield Finding("elsewhere", Grade.NOTE, told.message + is_sent, told.hint)


def _damage(path: Path) -> Finding:
    try:
        refuse_damaged(path)  # SQLite reads a damaged log up to the damage, and says nothing
    except StorageError as error:
        return Finding("damage", Grade.FAILED, error.message, error.hint)
    rows, altered, problem = scanned(path)
    if problem:
        mend = "segops-durable doctor --repair sets it aside, and saves what can be read"
        return Finding("damage", Grade.FAILED, problem, mend)
    if altered:
        text = f"{altered} of {rows} waiting events do not match their checksums"
        mend = "They become dead letters when they are sent; check the disk"
        return Finding("damage", Grade.NOTE, text, mend)
    return Finding("damage", Grade.OK, f"none in {rows} waiting events")


def scanned(path: Path) -> tuple[int, int, str]:
    """How many events wait, how many of them are altered, and what is wrong with the file.

    What is wrong is in words; empty for nothing.
    """
    try:
        return scan(path)
    except sqlite3.Error as error:
        return 0, 0, str(error)


def _records(path: Path) -> Iterator[Finding]:
    """Records that nothing can be derived from: somebody has to decide."""
    try:
        found = scan_records(path)
    except sqlite3.Error:  # damaged, as `_damage` says; or older than the seals of records
        return
    if found.letters:
        numbers = ", ".join(map(str, found.letters[:_MOST_NAMES]))
        mend = "They are shown, and never sent again; segops-durable dead discard removes them"
        yield Finding("damaged dead letters", Grade.NOTE, numbers, mend)
    if found.jobs:
        mend = (
            "Find out how far the job has come, and store that with track_many([], checkpoint=…); "
            "or let it begin anew: segops-durable doctor --repair"
        )
        yield Finding("damaged checkpoints", Grade.FAILED, ", ".join(found.jobs), mend)
    if found.loaded:
        mend = (
            "No file is loaded, as its events may be here already. "
            "To load all the same, segops-durable doctor --repair"
        )
        yield Finding("damaged notes of loads", Grade.FAILED, ", ".join(found.loaded), mend)


def _copies(path: Path) -> Iterator[Finding]:
    ends = ("-wal", "-shm")
    names = {each.name for each in damaged_copies(path) if not each.name.endswith(ends)}
    finished = names & finished_copies(path)
    if finished:
        mend = "What could be read of them is in the outbox; delete them when you like"
        yield Finding("damaged files", Grade.NOTE, ", ".join(sorted(finished)), mend)
    for name in sorted(names - finished):
        file = shlex.quote(str(path.with_name(name)))
        text = f"{name}: whether all that could be read of it is in the outbox is not known"
        mend = (
            "It is what waited before another file took its place, or an older version set it "
            "aside. To bring its events here, those again that are here or were sent: "
            f"segops-durable doctor --offline --repair --queue-path {file}, then "
            f"segops-durable adopt {file}"
        )
        yield Finding("damaged files", Grade.NOTE, text, mend)


def _standing(configuration: Configuration) -> Iterator[Finding]:
    try:
        with opened_outbox(configuration) as outbox:
            found = how_it_stands(outbox)
    except StorageError as error:  # damage that a scan does not meet, but opening does
        yield Finding("damage", Grade.FAILED, error.message, error.hint)
        return
    age = duration(found["oldest_age_seconds"])
    waiting = f"{found['waiting']:,} events, the oldest for {age}" if found["waiting"] else "none"
    yield Finding("waiting", Grade.OK, waiting)
    yield from _other_kind(configuration, found)
    if found["dead"]:
        mend = "segops-durable dead list"
        yield Finding("dead letters", Grade.NOTE, f"{found['dead']:,}", mend)
    sender = found["sender"]
    if sender is None:
        mend = "Start the client, or run segops-durable drain" if found["waiting"] else ""
        grade = Grade.NOTE if mend else Grade.OK
        yield Finding("sender", grade, "no client runs", mend)
        return
    text = f"process {sender.get('pid', 'unknown')}, {sender.get('state', 'starting')}"
    yield Finding("sender", Grade.OK, text)
    if sender.get("last_error"):
        yield Finding("last error", Grade.NOTE, str(sender["last_error"]))


def _other_kind(configuration: Configuration, found: dict[str, Any]) -> Iterator[Finding]:
    """What the configured key does not send: events that were tracked under the other kind."""
    is_public = str(configuration.value("api_key", "")).startswith("pk_")
    public = found["under_public_key"]
    count, begins = (found["waiting"] - public, "sk_") if is_public else (public, "pk_")
    if count > 0 and configuration.value("api_key", None) not in {None, NO_KEY}:
        text = f"{count:,} events were tracked under a {begins}… key, and are not sent under this"
        mend = f"Make a client with a {begins}… key and this queue_path"
        yield Finding("kind of key", Grade.NOTE, text, mend)
