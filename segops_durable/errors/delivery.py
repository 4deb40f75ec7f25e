"""What can go wrong on the way to SegOps, and there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from segops_durable.errors.base import SegOpsError
from segops_durable.errors.plain_text import visible
from segops_durable.errors.redaction import scrubbed

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime


class DeliveryError(SegOpsError):
    """A batch was not delivered as it should have been; its events are still on disk.

    Attributes:
        batch_size: How many events the batch held.
        attempts: How many requests this round made for it.
        status: The HTTP status, or None where there was no answer.
        retry_at: When it is tried again by itself, UTC; None where it is not.
        events: The events as they were sent, for an error that is about them; else empty.
        chain: What the libraries said where there was no answer, with all that they wrap in
            each other; else empty.
    """

    def __init__(
        self,
        message: str,
        *,
        batch_size: int = 0,
        attempts: int = 0,
        status: int | None = None,
        retry_at: datetime | None = None,
        events: Sequence[dict[str, Any]] = (),
        hint: str = "",
        chain: str = "",
    ) -> None:
        super().__init__(message, hint=hint)
        self.chain: str = scrubbed(visible(chain))
        self.batch_size = batch_size
        self.attempts = attempts
        self.status = status
        self.retry_at = retry_at
        self.events: tuple[dict[str, Any], ...] = tuple(events)


class UnreachableError(DeliveryError):
    """SegOps could not be reached, or is in trouble itself."""


class NotSegOpsError(DeliveryError):
    """Something answered, but not SegOps: a captive portal, a proxy, a maintenance page."""


class RateLimitedError(DeliveryError):
    """SegOps asks for patience; `retry_at` says until when."""


class CredentialsError(DeliveryError):
    """The API key was not accepted."""


class WrongAddressError(DeliveryError):
    """SegOps has no ingestion at this `api_url`."""


class RefusedError(DeliveryError):
    """SegOps refused an event as invalid or too large; it went to the dead letters.

    Reported for the event itself: a refused batch is halved until the culprit is alone.
    """


class SkippedEventsError(DeliveryError):
    """SegOps accepted the batch, but threw events of it away for failing validation.

    The whole batch, which `events` has, is kept in the dead letters.

    Attributes:
        skipped: How many; SegOps does not say which.
    """

    skipped: int = 0


class DamagedEventError(DeliveryError):
    """Stored events no longer match their checksums; they are in the dead letters, unsent."""


class ErasedTooLateError(DeliveryError):
    """Events were on their way to SegOps when `forget` erased them here; it may have them.

    Attributes:
        batch_size: How many events.
    """


class IdentityError(DeliveryError):
    """There is no session for the user that these events were tracked for; they wait.

    Or `get_user` failed while an event was tracked: that is sent as whoever is current then.

    Attributes:
        identity: The user id, or a visitor's anonymous id; empty where nobody could say it.
    """

    identity: str = ""


class KeyKindError(DeliveryError):
    """Events were tracked under the other kind of key, secret or public; they wait, unsent.

    A secret key would attribute them by the `user_id` that the application wrote, a public
    one by its session: in both cases perhaps to somebody else. `batch_size` says how many.
    """


class GateError(DeliveryError):
    """`may_send` raised, or said what cannot be meant; nothing is sent until it is asked again."""


class NoThreadError(DeliveryError):
    """No thread can be started to send events: a limit, or an interpreter that ends.

    They are stored all the same; it is tried again when more are. As there is no sending
    thread, this one error is reported on the thread that met it.
    """
