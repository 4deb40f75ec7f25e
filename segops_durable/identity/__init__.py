"""Whose events these are: the account that an outbox belongs to, the person on a device.

- `api_url`: the address of SegOps in its one spelling, which names the outbox.
- `users`: who is using the device, asked of the application: a `UserContext` (`user_context`).
- `identities`: the text of that which is stored with each event.
- `lanes`: which of somebody's events go first, stored with that text.
- `signing`: a user id signed on a backend, by which a public key proves who is logged in.
"""

from __future__ import annotations

from segops_durable.identity.api_url import checked_url, normal_url
from segops_durable.identity.identities import (
    KINDS,
    NO_IDENTITY,
    WHOEVER,
    claim_of,
    claimed_identity,
    identities_of,
    identity_of,
    is_of,
    name_of,
)
from segops_durable.identity.lanes import (
    identity_in,
    lane_of,
    lanes_of,
    priority_of,
    rank_of,
)
from segops_durable.identity.signing import SIGNATURE_SECONDS, sign_user_id, verify_user_id
from segops_durable.identity.user_context import UserContext
from segops_durable.identity.users import Person, Renewal, Users

__all__ = [
    "KINDS",
    "NO_IDENTITY",
    "SIGNATURE_SECONDS",
    "WHOEVER",
    "Person",
    "Renewal",
    "UserContext",
    "Users",
    "checked_url",
    "claim_of",
    "claimed_identity",
    "identities_of",
    "identity_in",
    "identity_of",
    "is_of",
    "lane_of",
    "lanes_of",
    "name_of",
    "normal_url",
    "priority_of",
    "rank_of",
    "sign_user_id",
    "verify_user_id",
]
