"""Identities: whose events these are, as the text that is stored with each event.

With a public key SegOps attributes every event to the user of the session token that it was
sent with. So the identity is taken when an event is tracked, and a batch holds one.
"""

from __future__ import annotations

from segops_durable.identity.user_context import UserContext

NO_IDENTITY = ""
"""Of events tracked under a secret key: each speaks for its own user."""

WHOEVER = "whoever"
"""Of events tracked while `get_user` failed: sent as whoever is current then."""

_USER, _VISITOR, _CLAIMED = "user:", "visitor:", "claimed:"
KINDS = (_USER, _VISITOR, _CLAIMED)
"""What the identity of somebody begins with."""


def identity_of(context: UserContext, anonymous_id: str) -> str:
    """The identity that events of this context belong to.

    Args:
        context: Who is using the device; an empty one is a visitor.
        anonymous_id: The visitor's id where the context has none.
    """
    if context.user_id:
        return _USER + context.user_id
    return _VISITOR + (context.anonymous_id or anonymous_id)


def claimed_identity(context: UserContext) -> str:
    """The identity of somebody who says who they are where nobody can check that.

    It has the signature, and its time, so that whoever can may check it later; and what is tracked
    under a forged one is never taken for what is tracked under a good one.

    Args:
        context: A user, with or without a signature.
    """
    seconds = "" if context.user_id_ts is None else context.user_id_ts
    return f"{_CLAIMED}{seconds}:{context.user_id_sig or ''}:{context.user_id}"


def claim_of(identity: str) -> UserContext | None:
    """What was claimed by whoever has that identity; None where nothing was."""
    if not identity.startswith(_CLAIMED):
        return None
    seconds, signature, user_id = _parts_of_claim(identity)
    is_time = seconds.isascii() and seconds.lstrip("-").isdigit()
    return UserContext(
        user_id, user_id_sig=signature or None, user_id_ts=int(seconds) if is_time else None
    )


def _parts_of_claim(identity: str) -> tuple[str, str, str]:
    seconds, _, rest = identity[len(_CLAIMED) :].partition(":")
    signature, _, user_id = rest.partition(":")
    return seconds, signature, user_id


def identities_of(name: str) -> tuple[str, str]:
    """The identities that go by a name: a user's, and a visitor's. What is claimed comes on top."""
    return _USER + name, _VISITOR + name


def name_of(identity: str) -> str:
    """What the application calls it: a user id, or an anonymous id; empty where it is nobody's."""
    if identity.startswith(_CLAIMED):
        return _parts_of_claim(identity)[2]
    return identity.partition(":")[2]


def is_of(identity: str, name: str) -> bool:
    """Whether an identity goes by a name."""
    return identity.startswith(KINDS) and name_of(identity) == name


def is_visitor(identity: str) -> bool:
    """Whether it is a visitor's, for whom nobody needs to sign."""
    return identity.startswith(_VISITOR)
