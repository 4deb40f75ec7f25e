"""Events of the other kind of key: they wait, are counted, and are told of once.

SegOps attributes what comes under a secret key by the `user_id` that the application wrote,
and what comes under a public one by its session. An event that was tracked for one of them
and sent under the other is perhaps somebody else's. So the identity that is stored with each
event decides: the sender takes turns only among those that its own kind of key may speak for.
While others wait, it gives up its place after each round, so that they may be sent beside it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from segops_durable.delivery.outcome import damaged_events
from segops_durable.errors import KeyKindError
from segops_durable.identity import NO_IDENTITY, identity_in

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from segops_durable.errors import SegOpsError
    from segops_durable.outbox import Outbox


class Kinds:
    """Tells apart whose events this client may send. For the sender's thread.

    Args:
        outbox: Where they wait.
        report: Called with each error; it must not raise.
        is_public: Whether the client has a public key.

    Attributes:
        held: The identities whose events wait for a client with the other kind of key.
    """

    def __init__(
        self, outbox: Outbox, report: Callable[[SegOpsError], None], *, is_public: bool
    ) -> None:
        self._outbox = outbox
        self._report = report
        self._is_public = is_public
        self._looked_up_to = 0
        self.held: tuple[str, ...] = ()

    def ours(self) -> list[str]:
        """Whose events may be sent, those with the oldest first; remember and tell of others."""
        found = self._outbox.waiting.identities()
        public = [each for each in found if identity_in(each) != NO_IDENTITY]
        secret = [each for each in found if identity_in(each) == NO_IDENTITY]
        if self._is_public:
            ours, others = public, secret
            if not others and self._is_secret_waiting():
                others = [NO_IDENTITY]
        else:  # those without a priority are found by looking for them
            ours, others = [NO_IDENTITY, *filter(None, secret)], public
        self._hold(others)
        return ours

    def urgent(self) -> list[str]:
        """Those of them whose events go first."""
        found = self._outbox.waiting.urgent()
        return [each for each in found if (identity_in(each) != NO_IDENTITY) is self._is_public]

    def _is_secret_waiting(self) -> bool:
        self._looked_up_to, is_there = self._outbox.waiting.find_secret(self._looked_up_to)
        return is_there

    def _hold(self, lanes: Sequence[str]) -> None:
        others = tuple(dict.fromkeys(map(identity_in, lanes)))
        if set(others).difference(self.held):
            self._sift(lanes)
        is_news = bool(others) and not self.held
        self.held = others
        if is_news and (count := sum(self._outbox.waiting.count_of(others).values())):
            self._report(self._error(count))

    def _sift(self, lanes: Sequence[str]) -> None:
        """Bury those that only look like the other kind: nobody would ever take them."""
        new = [each for each in lanes if identity_in(each) not in self.held]
        damaged = sum(map(self._outbox.batches.sift, new))
        if damaged:
            self._report(damaged_events(damaged))

    def _error(self, count: int) -> KeyKindError:
        theirs, ours = ("secret", "public") if self._is_public else ("public", "secret")
        begins = "sk_" if self._is_public else "pk_"
        return KeyKindError(
            f"{count} events were tracked under a {theirs} key, and wait: "
            f"under a {ours} key SegOps may attribute them to somebody else",
            batch_size=count,
            hint=f"To send them, make a client with a {begins}… key and "
            f"queue_path={str(self._outbox.path)!r}",
        )
