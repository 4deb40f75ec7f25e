"""Who is using a device, as an application says it."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass
class UserContext:
    """Who is using the device now, for a public key (``pk_…``).

    Attributes:
        user_id: The logged-in user; None for a visitor.
        anonymous_id: A stable id for a visitor.
        user_id_sig: The signature that your backend made with `sign_user_id`.
        user_id_ts: The Unix time in seconds that belongs to the signature.
    """

    user_id: str | None = None
    anonymous_id: str | None = None
    user_id_sig: str | None = field(default=None, repr=False)  # whoever has it is that user
    user_id_ts: int | None = None
