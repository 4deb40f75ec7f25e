"""Who is using the device, as the application tells: its callbacks, asked and checked."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, NamedTuple

from segops_durable.errors import IdentityError
from segops_durable.errors.redaction import without_secrets
from segops_durable.identity.identities import claim_of, identity_of, is_visitor, name_of
from segops_durable.identity.signing import SIGNATURE_SECONDS
from segops_durable.identity.user_context import UserContext

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    ContextFor = Callable[[str], UserContext | None]

_FIELDS: dict[str, type] = {
    "user_id": str,
    "anonymous_id": str,
    "user_id_sig": str,
    "user_id_ts": int,
}


class Person(NamedTuple):
    """Who is using the device.

    Attributes:
        identity: As whose their events are sent.
        anonymous_id: The visitor's id that their events carry, logged in or not.
    """

    identity: str
    anonymous_id: str


class Renewal(ABC):
    """A `user_context_for` that is also asked for users whose word has to be checked first."""

    @abstractmethod
    def __call__(self, user_id: str) -> UserContext | None:
        """Sign for a user whom SegOps has known as that one."""

    @abstractmethod
    def renew(self, claim: UserContext) -> UserContext | None:
        """Check what somebody has claimed, and sign for them afresh; None where it is not so."""


class Users:
    """Asks for the users of a device.

    Args:
        get_user: Says who is using it now; None for a visitor.
        user_context_for: Has somebody else signed for afresh; None where nobody can.
        anonymous_id: Says the id of the device's visitor.
    """

    def __init__(
        self,
        get_user: Callable[[], UserContext | None] | None,
        user_context_for: ContextFor | None,
        anonymous_id: Callable[[], str],
    ) -> None:
        self._get_user = get_user
        self._user_context_for = user_context_for
        self.anonymous_id = anonymous_id

    def current(self) -> Person:
        """Who is using the device now.

        Raises:
            IdentityError: `get_user` failed.
            StorageError: The anonymous id cannot be read.
        """
        return self.person_of(self.asked())

    def asked(self) -> UserContext:
        """What the application says of who is using the device now; empty for a visitor.

        Raises:
            IdentityError: `get_user` failed.
        """
        return self._context() or UserContext()

    def person_of(self, context: UserContext) -> Person:
        """Whoever the application named, with the id of the device's visitor beside them.

        Raises:
            StorageError: The anonymous id cannot be read.
        """
        anonymous_id = context.anonymous_id or self.anonymous_id()
        return Person(identity_of(context, anonymous_id), anonymous_id)

    def contexts_for(self, identity: str) -> Iterator[UserContext]:
        """Yield what a session for that identity may be opened with, the likelier first.

        Raises:
            IdentityError: A callback failed; after whatever the others gave.
        """
        name = name_of(identity)
        claim = claim_of(identity)
        if is_visitor(identity):
            yield UserContext(anonymous_id=name)
        elif claim is not None:
            yield from self._contexts_of_claim(claim)
        elif name:
            yield from self._contexts_of_user(name)

    def _contexts_of_claim(self, claim: UserContext) -> Iterator[UserContext]:
        """What somebody has claimed, as long as SegOps can check it; then whoever can still."""
        seconds = claim.user_id_ts
        if claim.user_id_sig is None or seconds is None:
            yield claim  # a key that asks for no signature takes it; nobody is to sign for it
            return
        if abs(time.time() - seconds) <= SIGNATURE_SECONDS:
            yield claim
        sign = self._user_context_for
        if isinstance(sign, Renewal):
            renewed = self._signed(str(claim.user_id), lambda: sign.renew(claim))
            if renewed is not None:
                yield renewed

    def _contexts_of_user(self, user_id: str) -> Iterator[UserContext]:
        failure: IdentityError | None = None
        try:
            current = self._context()
        except IdentityError as error:
            current, failure = None, error
        if current is not None and current.user_id == user_id:
            yield current
        afresh = self._afresh(user_id)
        if afresh is not None:
            yield afresh
        elif failure is not None:
            raise failure

    def _context(self) -> UserContext | None:
        return None if self._get_user is None else _asked("get_user()", self._get_user)

    def _afresh(self, user_id: str) -> UserContext | None:
        if self._user_context_for is None:
            return None
        sign = self._user_context_for
        return self._signed(user_id, lambda: sign(user_id))

    def _signed(self, user_id: str, sign: Callable[[], UserContext | None]) -> UserContext | None:
        context = _asked(f"user_context_for({user_id!r})", sign)
        if context is not None and context.user_id != user_id:
            raise IdentityError(f"user_context_for({user_id!r}) is of user {context.user_id!r}")
        return context


def _asked(what: str, ask: Callable[[], UserContext | None]) -> UserContext | None:
    """Ask the application; what it gives may be a signature, so no error shows a value."""
    try:
        context = ask()
    except Exception as error:  # noqa: BLE001 - the application's own, whatever it is
        failure = IdentityError(f"{what} raised {type(error).__name__}: {error}")
        failure.__cause__ = without_secrets(error)
    else:
        return _checked(what, context)
    # outside the `except`: there Python would keep the application's own error as the context of
    # this one, for whoever looks at it, with the secrets that `without_secrets` has left out
    raise failure


def _checked(what: str, context: object) -> UserContext | None:
    if context is None:
        return None
    if not isinstance(context, UserContext):
        got = type(context).__name__
        raise IdentityError(f"{what} must return a UserContext or None, got one of type {got}")
    for name, kind in _FIELDS.items():
        value = getattr(context, name)
        if value is not None and (not isinstance(value, kind) or isinstance(value, bool)):
            got = type(value).__name__
            raise IdentityError(f"{what}: {name} must be {kind.__name__}, got one of type {got}")
        if isinstance(value, str) and not value.isascii():
            _check_unicode(what, name, value)
    return context


def _check_unicode(what: str, name: str, value: str) -> None:
    try:
        value.encode()
    except UnicodeEncodeError:
        raise IdentityError(f"{what}: {name} has a lone surrogate") from None
