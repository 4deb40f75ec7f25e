"""The log of a service: a line for each event of interest, as text or as JSON."""

from __future__ import annotations

import logging
import sys
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any, TypeVar

import click

from segops_durable.errors.plain_text import json_text, visible

if TYPE_CHECKING:
    from collections.abc import Callable

FORMATS = ("text", "json")
_FIELDS, _EVENT = "segops_fields", "segops_event"
_F = TypeVar("_F", bound="Callable[..., Any]")
_log = logging.getLogger("segops_durable.service")


def note(event: str, text: str, *, level: int = logging.INFO, **fields: Any) -> None:
    """Log something.

    Args:
        event: What it is, in a word.
        text: In a sentence.
        level: As `logging` has it. Defaults to ``INFO``.
        **fields: What a program may want of it.
    """
    _log.log(level, "%s", text, extra={_EVENT: event, _FIELDS: fields})


def writes_log(command: _F) -> _F:
    """Give a command the option that says how it logs."""
    return click.option(
        "--log-format",
        type=click.Choice(FORMATS),
        default="text",
        show_default=True,
        envvar="SEGOPS_LOG_FORMAT",
        help="How it logs to standard error: a line each, json for programs.",
    )(command)


def set_up(form: str) -> None:
    """Have what is logged from now on written to standard error.

    Args:
        form: One of `FORMATS`.
    """
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Json() if form == "json" else _Text())
    root = logging.getLogger()
    root.handlers[:] = [handler]  # also of a service before, in one process
    root.setLevel(logging.WARNING)
    logging.getLogger("segops_durable").setLevel(logging.INFO)


def _moment(record: logging.LogRecord) -> str:
    then = datetime.fromtimestamp(record.created, timezone.utc)
    return then.isoformat(timespec="milliseconds")


class _Text(logging.Formatter):
    """A line for people."""

    def format(self, record: logging.LogRecord) -> str:
        line = f"{_moment(record)} {record.levelname.lower()} {visible(record.getMessage())}"
        return (
            line if record.exc_info is None else f"{line}\n{self.formatException(record.exc_info)}"
        )


class _Json(logging.Formatter):
    """A line for programs: an object."""

    def format(self, record: logging.LogRecord) -> str:
        error = next(iter(record.args), None) if isinstance(record.args, tuple) else None
        of_error = {"kind": type(error).__name__} if isinstance(error, Exception) else {}
        found = {
            "time": _moment(record),
            "level": record.levelname.lower(),
            "event": getattr(record, _EVENT, "error" if of_error else record.name),
            "message": record.getMessage(),
            **of_error,
            **getattr(record, _FIELDS, {}),
        }
        if record.exc_info is not None:
            found["trace"] = self.formatException(record.exc_info)
        return json_text(found, is_ascii=True)
