"""Who signs for users whose session is over: their last word, or the application's backend.

What is asked is ``{"user_id", "user_id_sig", "user_id_ts", "checked"}``: whom to sign for, what
they have shown for it, and whether SegOps has opened a session for them before. If it has not,
whoever signs has to check the signature first: nobody else can.
"""

from __future__ import annotations

import json
import shlex
import time
from collections import OrderedDict
from typing import TYPE_CHECKING, Any

import requests

from segops_durable.identity import SIGNATURE_SECONDS, Renewal, UserContext
from segops_durable.relay.command import CommandError, ask_command

if TYPE_CHECKING:
    from collections.abc import Callable

    from segops_durable.relay.settings import RelaySettings

_FIELDS = ("user_id", "user_id_sig", "user_id_ts")
_SECONDS = 10.0
_SLOW_SECONDS, _TIMES_UNTRIED = 1.0, 9
"""After a failure that took longer nobody is asked for so many times as long: what is sent waits
meanwhile, also that of all others."""
_MOST_USERS = 1024
_MOST_BYTES = 1 << 16


class SigningError(Exception):
    """Nobody has signed; it says nothing of what was asked or answered."""


class Signer(Renewal):
    """Signs for users.

    Args:
        settings: Say whom to ask.
    """

    def __init__(self, settings: RelaySettings) -> None:
        self._ask = _asking(settings)
        self._known: OrderedDict[str, UserContext] = OrderedDict()
        self._untried_until = 0.0

    def note(self, context: UserContext) -> None:
        """Remember what SegOps has opened a session for."""
        user_id = context.user_id or ""
        self._known[user_id] = context
        self._known.move_to_end(user_id)
        while len(self._known) > _MOST_USERS:
            self._known.popitem(last=False)

    def __call__(self, user_id: str) -> UserContext | None:
        """Sign for a user whom SegOps has known as that one."""
        known = self._known.get(user_id) or UserContext(user_id)
        is_fresh = abs(time.time() - (known.user_id_ts or 0)) < SIGNATURE_SECONDS
        if is_fresh or self._ask is None:
            return known if is_fresh else UserContext(user_id)
        return self._asked(self._ask, known, is_checked=True)

    def renew(self, claim: UserContext) -> UserContext | None:
        """Have the backend check what somebody has claimed, and sign for them afresh."""
        return None if self._ask is None else self._asked(self._ask, claim, is_checked=False)

    def _asked(
        self, ask: Callable[[bytes], bytes], claim: UserContext, *, is_checked: bool
    ) -> UserContext:
        began = time.monotonic()
        if began < self._untried_until:
            raise SigningError("what signs for users failed slowly, and is left alone for a while")
        question = {**{name: getattr(claim, name) for name in _FIELDS}, "checked": is_checked}
        try:
            return _context(ask(json.dumps(question).encode()))
        except SigningError:
            seconds = time.monotonic() - began
            if seconds >= _SLOW_SECONDS:
                self._untried_until = time.monotonic() + _TIMES_UNTRIED * seconds
            raise


def _context(answer: bytes) -> UserContext:
    try:
        found: Any = json.loads(answer)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise SigningError("what signs for users has not answered with a JSON object")
    return UserContext(**{name: found.get(name) for name in _FIELDS})


def _asking(settings: RelaySettings) -> Callable[[bytes], bytes] | None:
    if settings.sign_command:
        words = shlex.split(settings.sign_command)
        return lambda question: _by_command(words, question)
    if settings.sign_url:
        url = settings.sign_url
        return lambda question: _by_url(url, question)
    return None


def _by_command(words: list[str], question: bytes) -> bytes:
    try:
        return ask_command(words, question, _SECONDS, _MOST_BYTES)
    except CommandError as error:
        raise SigningError(f"the sign command {error}") from None


def _by_url(url: str, question: bytes) -> bytes:
    headers = {"Content-Type": "application/json", "Accept": "application/json"}
    try:
        with requests.post(
            url,
            data=question,
            headers=headers,
            timeout=_SECONDS,
            allow_redirects=False,
            stream=True,
        ) as answer:
            if answer.status_code != requests.codes.ok:
                raise SigningError(f"the sign URL answered with status {answer.status_code}")
            found: bytes = answer.raw.read(_MOST_BYTES, decode_content=True)
    except (OSError, ValueError) as error:  # of requests, too
        raise SigningError(f"the sign URL cannot be asked ({type(error).__name__})") from None
    return found
