"""Identities: whose events these are, as the text that is stored with each event.

With a public key SegOps attributes every event to the user of the session token that it was
sent with. So the identity is taken when an event is tracked, and a batch holds one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from segops_durable.identity.user_context import UserContext

NO_IDENTITY = ""
"""Of events tracked under a secret key: each speaks for its own user."""

WHOEVER = "whoever"
"""Of events tracked while `get_user` failed: sent as whoever is current then."""

_USER, _VISITOR = "user:", "visitor:"


def identity_of(context: UserContext, anonymous_id: str) -> str:
    """The identity that events of this context belong to.

    Args:
        context: Who is using the device; an empty one is a visitor.
        anonymous_id: The visitor's id where the context has none.
    """
    if context.user_id:
        return _USER + context.user_id
    return _VISITOR + (context.anonymous_id or anonymous_id)


def identities_of(name: str) -> tuple[str, str]:
    """The identities that go by a name: a user's, and a visitor's."""
    return _USER + name, _VISITOR + name


def name_of(identity: str) -> str:
    """What the application calls it: a user id, or an anonymous id; empty where it is nobody's."""
    return identity.partition(":")[2]


def is_visitor(identity: str) -> bool:
    """Whether it is a visitor's, for whom nobody needs to sign."""
    return identity.startswith(_VISITOR)
