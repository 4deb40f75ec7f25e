"""Whose an outbox is, and who it is: the identities that are kept in the file."""

from __future__ import annotations

import logging
import uuid
import zlib
from typing import TYPE_CHECKING

from segops_durable.errors import ConfigurationError

if TYPE_CHECKING:
    import sqlite3
    from pathlib import Path

_log = logging.getLogger("segops_durable")

SET_META = "INSERT OR REPLACE INTO meta VALUES (?, ?)"
ANONYMOUS_ID = "SELECT value FROM meta WHERE name = 'anonymous_id'"


def bind(writer: sqlite3.Connection, path: Path, api_url: str, key_fingerprint: str) -> str:
    """Make sure that a file is for this `api_url`, or make it so; return the outbox's UUID.

    Raises:
        ConfigurationError: It belongs to another.
    """
    meta = _meta(writer)
    if "check" in meta and meta["check"] != _checksum(meta):
        _log.warning("the identity of %s is damaged; it gets a new one", path)
        meta.clear()
    if meta.get("api_url", api_url) != api_url:
        raise ConfigurationError(
            f"the outbox {path} holds events for {meta['api_url']}, got {api_url!r}",
            field="api_url",
            hint="Give each api_url its own queue_path",
        )
    if meta.get("key", key_fingerprint) != key_fingerprint:
        _log.info("the API key of %s was rotated; waiting events go out under it", path)
    ours: dict[str, str] = {
        "uuid": str(uuid.uuid4()),
        "anonymous_id": str(uuid.uuid4()),
        **{name: meta[name] for name in ("uuid", "anonymous_id") if name in meta},
        "api_url": api_url,
        "key": key_fingerprint,
    }
    ours["check"] = _checksum(ours)
    if not ours.items() <= meta.items():
        writer.execute("BEGIN IMMEDIATE")
        writer.executemany(SET_META, ours.items())
        writer.execute("COMMIT")
    return ours["uuid"]


def renew_anonymous_id(writer: sqlite3.Connection) -> str:
    """Make a new id for the device's visitor, within the caller's transaction; return it."""
    anonymous_id = str(uuid.uuid4())
    meta = {**_meta(writer), "anonymous_id": anonymous_id}
    meta["check"] = _checksum(meta)
    writer.executemany(SET_META, meta.items())
    return anonymous_id


def _checksum(meta: dict[str, str]) -> str:
    """Of what decides whose events these are, and under which keys they are sent."""
    names = ("uuid", "anonymous_id", "api_url")
    return str(zlib.crc32("\0".join(str(meta.get(name)) for name in names).encode()))


def _meta(connection: sqlite3.Connection) -> dict[str, str]:
    found = connection.execute("SELECT name, value FROM meta").fetchall()
    return {str(name): str(value) for name, value in found}
