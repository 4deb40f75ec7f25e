from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from segops_durable.identity import (
    UserContext,
    claim_of,
    claimed_identity,
    identity_of,
    is_of,
    name_of,
)
from segops_durable.identity.users import Renewal, Users

pytestmark = pytest.mark.one_python

NAMES = st.text(min_size=1)


@given(
    NAMES, st.one_of(st.none(), st.integers(0, 1 << 40)), st.one_of(st.none(), st.just("a" * 64))
)
def test_what_was_claimed_can_be_read_from_the_identity_whatever_the_name(
    name: str, seconds: int | None, signature: str | None
) -> None:
    claim = UserContext(name, user_id_sig=signature, user_id_ts=seconds)
    identity = claimed_identity(claim)
    assert claim_of(identity) == claim
    assert name_of(identity) == name
    assert is_of(identity, name)


@given(NAMES)
def test_nobody_elses_identity_is_taken_for_a_claim(name: str) -> None:
    for context in (UserContext(name), UserContext(anonymous_id=name)):
        identity = identity_of(context, "device")
        assert claim_of(identity) is None
        assert name_of(identity) == name


class Backend(Renewal):
    """Signs for everybody whose word it was asked to check, and remembers whose that was."""

    def __init__(self) -> None:
        self.checked: list[UserContext] = []

    def __call__(self, user_id: str) -> UserContext | None:
        return UserContext(user_id, user_id_sig="known", user_id_ts=1)

    def renew(self, claim: UserContext) -> UserContext | None:
        self.checked.append(claim)
        return UserContext(claim.user_id, user_id_sig="renewed", user_id_ts=2)


def test_only_the_backend_that_has_checked_a_claim_speaks_for_it() -> None:
    backend = Backend()
    users = Users(None, backend, lambda: "device")
    signed = UserContext("ann", user_id_sig="a" * 64, user_id_ts=1_700_000_000)
    unsigned = UserContext("ann")
    assert [each.user_id_sig for each in users.contexts_for(claimed_identity(signed))] == [
        "renewed"
    ]
    assert [*users.contexts_for(claimed_identity(unsigned))] == [unsigned]
    assert backend.checked == [signed]
    assert [each.user_id_sig for each in users.contexts_for("user:ann")] == ["known"]


def test_whoever_signs_only_for_those_who_are_known_is_not_asked_for_a_claim() -> None:
    users = Users(None, lambda user_id: UserContext(user_id, user_id_sig="x"), lambda: "device")
    old = UserContext("ann", user_id_sig="a" * 64, user_id_ts=1_700_000_000)
    assert [*users.contexts_for(claimed_identity(old))] == []
