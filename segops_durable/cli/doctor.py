"""`doctor`: what may be wrong with an outbox, the machine or the way to SegOps, and the mend."""

from __future__ import annotations

import os
import shutil
import sqlite3
import stat
import sys
import time
from contextlib import closing
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any

import click

from segops_durable._version import __version__
from segops_durable.cli.command import FAILED
from segops_durable.cli.configuration import Configuration, configured
from segops_durable.cli.look import how_it_stands
from segops_durable.cli.output import duration, print_json, size
from segops_durable.cli.station import opened_outbox
from segops_durable.clock import PLAUSIBLE
from segops_durable.errors import ConfigurationError
from segops_durable.exchange import Exchange, HeaderAuth
from segops_durable.handshake import SESSION_PATH
from segops_durable.outbox import damaged_copies, filesystem_of, is_network_filesystem, scan
from segops_durable.transport import BATCH_PATH
from segops_durable.verdicts import Answer, http_date

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from segops_durable.options import Options

_LITTLE_SPACE = 64 << 20
_CLOCK_SECONDS = 120
_OPEN_BITS = stat.S_IRWXG | stat.S_IRWXO


class Grade(str, Enum):
    """How a check came out."""

    OK = "ok"
    NOTE = "note"
    FAILED = "failed"


@dataclass(frozen=True)
class Finding:
    """What a check found.

    Attributes:
        check: What was checked.
        grade: How it came out.
        text: What was found.
        mend: What to do about it; empty where there is nothing to do.
    """

    check: str
    grade: Grade
    text: str
    mend: str = ""


@click.command()
@click.option("--repair", is_flag=True, help="Set a damaged file aside, and go on with the rest.")
@click.option("--offline", is_flag=True, help="Leave out what needs the network.")
@click.option("--json", "as_json", is_flag=True, help="Print a line of JSON for each check.")
@configured
def doctor(
    repair: bool,
    offline: bool,
    as_json: bool,
    config_file: str | None,
    **given: Any,
) -> None:
    """Find what is wrong, and the mend.

    It checks the outbox, the machine and the way to SegOps, with a line for each. It sends no
    event, and changes nothing without --repair. Status 1 if a check failed.

    \b
    Example:
      segops-durable doctor
      segops-durable doctor --repair
    """
    configuration = Configuration(given, config_file)
    path = configuration.outbox_path()
    if repair and path.exists():
        _repair(configuration, path)
    findings = list(_findings(configuration, path, is_offline=offline))
    for each in findings:
        if as_json:
            print_json({**vars(each), "grade": each.grade.value})
        else:
            mend = f" -> {each.mend}" if each.mend else ""
            click.echo(f"{each.grade.value:6}  {each.check}: {each.text}{mend}")
    if any(each.grade is Grade.FAILED for each in findings):
        sys.exit(FAILED)


def _findings(configuration: Configuration, path: Path, *, is_offline: bool) -> Iterator[Finding]:
    yield _clock()
    if path.exists():
        yield from _file(path)
        yield _space(path)
        damage = _damage(path)
        yield damage
        yield from _copies(path)
        if damage.grade is Grade.OK:
            yield from _standing(configuration)
    else:
        yield Finding(
            "outbox", Grade.NOTE, f"there is none at {path}", "It is made by the first event"
        )
    try:
        options = configuration.options(queue_path=path)
    except ConfigurationError as error:
        yield Finding("settings", Grade.FAILED, error.message, error.hint)
        return
    yield Finding("settings", Grade.OK, f"{options.api_url}, a {options.api_key[:3]} key")
    if not is_offline:
        yield from _server(options)


def _clock() -> Finding:
    if time.time() < PLAUSIBLE:
        text = f"it shows {time.strftime('%Y-%m-%d %H:%M', time.gmtime())}"
        return Finding("clock", Grade.FAILED, text, "Set it, or let NTP set it")
    return Finding("clock", Grade.OK, time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime()))


def _file(path: Path) -> Iterator[Finding]:
    found = path.stat()
    problems = []
    if os.name != "nt" and found.st_mode & _OPEN_BITS:
        problems.append(f"others may read it: mode {stat.S_IMODE(found.st_mode):o}")
    if not os.access(path, os.R_OK | os.W_OK) or not os.access(path.parent, os.W_OK):
        yield Finding(
            "permissions",
            Grade.FAILED,
            f"this user may not write {path}",
            "Run it as the user that tracks, or hand the directory over to this one",
        )
    elif problems:
        yield Finding("permissions", Grade.NOTE, "; ".join(problems), f"chmod 600 {path}")
    else:
        yield Finding("permissions", Grade.OK, f"{path} is private")
    kind = filesystem_of(path)
    if is_network_filesystem(kind):
        mend = "Move the outbox to a local disk"
        yield Finding("file system", Grade.FAILED, f"{kind}, whose locks may not hold", mend)
    else:
        yield Finding("file system", Grade.OK, kind or "unknown")


def _space(path: Path) -> Finding:
    free = shutil.disk_usage(path.parent).free
    if free < _LITTLE_SPACE:
        return Finding("free space", Grade.FAILED, size(free), "Make room on this disk")
    return Finding("free space", Grade.OK, size(free))


def _damage(path: Path) -> Finding:
    try:
        rows, altered, problem = scan(path)
    except sqlite3.Error as error:
        rows, altered, problem = 0, 0, str(error)
    if problem:
        mend = "segops-durable doctor --repair sets it aside, and saves what can be read"
        return Finding("damage", Grade.FAILED, problem, mend)
    if altered:
        text = f"{altered} of {rows} waiting events do not match their checksums"
        mend = "They become dead letters when they are sent; check the disk"
        return Finding("damage", Grade.NOTE, text, mend)
    return Finding("damage", Grade.OK, f"none in {rows} waiting events")


def _copies(path: Path) -> Iterator[Finding]:
    copies = [each for each in damaged_copies(path) if not each.name.endswith(("-wal", "-shm"))]
    if copies:
        names = ", ".join(each.name for each in copies)
        mend = "What could be read of them is in the outbox; delete them when you like"
        yield Finding("damaged files", Grade.NOTE, names, mend)


def _standing(configuration: Configuration) -> Iterator[Finding]:
    with opened_outbox(configuration) as outbox:
        found = how_it_stands(outbox)
    age = duration(found["oldest_age_seconds"])
    waiting = f"{found['waiting']:,} events, the oldest for {age}" if found["waiting"] else "none"
    yield Finding("waiting", Grade.OK, waiting)
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


def _server(options: Options) -> Iterator[Finding]:
    exchange = Exchange(
        options.api_url, timeout=options.timeout, user_agent=f"segops-durable/{__version__}"
    )
    path = SESSION_PATH if options.has_public_key else BATCH_PATH
    # a session for a visitor, or a batch of no events, which is refused: neither sends anything
    body = (
        b'{"anonymous_id":"segops-durable-doctor"}' if options.has_public_key else b'{"events":[]}'
    )
    with closing(exchange):
        answer = exchange.post(path, body, HeaderAuth("ApiKey", options.api_key))
    if not isinstance(answer, Answer):
        mend = "Check the network, the proxy settings and api_url"
        yield Finding("server", Grade.FAILED, answer.detail, mend)
        return
    if answer.document is None:
        text = f"something that is not SegOps answered, HTTP {answer.status}"
        yield Finding("server", Grade.FAILED, text, "Look for a captive portal or a proxy")
        return
    yield _judged(answer)
    date = http_date(answer.headers.get("Date"))
    if date is not None and abs(date.timestamp() - time.time()) > _CLOCK_SECONDS:
        off = duration(abs(date.timestamp() - time.time()))
        yield Finding("clock", Grade.NOTE, f"{off} off the server's", "Let NTP set it")


def _judged(answer: Answer) -> Finding:
    said = str((answer.document or {}).get("detail", ""))
    if answer.status in {401, 403}:
        mend = "Set another key: SEGOPS_API_KEY, or set_api_key() in the client"
        return Finding("key", Grade.FAILED, f"HTTP {answer.status} {said}".strip(), mend)
    if answer.status in {404, 405, 410}:
        return Finding("server", Grade.FAILED, f"HTTP {answer.status} {said}", "Mend api_url")
    if answer.status in {408, 425, 429} or answer.status >= 500:  # noqa: PLR2004 - HTTP's own number
        text = f"it is there, and in trouble: HTTP {answer.status} {said}"
        return Finding("server", Grade.NOTE, text, "Wait; events are sent when it is well")
    return Finding("server", Grade.OK, "it answers, and takes the key")


def _repair(configuration: Configuration, path: Path) -> None:
    """Have a damaged file replaced by what can be read of it."""
    if not _problem(path):
        return
    with opened_outbox(configuration) as outbox:
        left = _problem(path)  # if opening has not mended it already
        if left:
            outbox.repair(left)


def _problem(path: Path) -> str:
    try:
        return scan(path)[2]
    except sqlite3.Error as error:
        return str(error)
