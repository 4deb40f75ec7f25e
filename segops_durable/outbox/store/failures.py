"""What an error of SQLite's means: a damaged file, a full disk, a locked file, and the like.

By the message: errors have SQLite's code only from Python 3.11 on, and those that this package
raises itself have none. Only a write gate that stays shut is known by its type, `TimeoutError`.
"""

from __future__ import annotations

import sqlite3

_DAMAGE = (
    "malformed",
    "not a database",
    "no such table",
    "no such column",
    "has no column",
    "unsupported file format",
    "could not decode",
)
_FULL = "database or disk is full"
_LOCKED = "is locked"
_READ_ONLY = "readonly"
_SHAKY = ("unable to open", "disk i/o error")


def is_damage(error: sqlite3.Error) -> bool:
    """Whether the file is at fault, not the disk, the load or the caller."""
    text = str(error).lower()
    return isinstance(error, sqlite3.DatabaseError) and any(each in text for each in _DAMAGE)


def is_full(error: Exception) -> bool:
    """Whether the disk is full; SQLite says so, too, where ids have come to their end."""
    return _FULL in str(error).lower()


def is_locked(error: Exception) -> bool:
    """Whether somebody else keeps the file, and it was waited for in vain."""
    return isinstance(error, TimeoutError) or _LOCKED in str(error)


def is_read_only(error: sqlite3.Error) -> bool:
    """Whether the disk, or a damaged header, has it that the file cannot be written."""
    return _READ_ONLY in str(error).lower()


def is_shaky(error: sqlite3.Error) -> bool:
    """Whether a connection that met this may go on failing after the cause has gone."""
    text = str(error).lower()
    return any(each in text for each in _SHAKY)
