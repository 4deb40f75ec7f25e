from __future__ import annotations

from dataclasses import replace

import pytest

from segops_durable import State, Stats
from segops_durable.errors import (
    CredentialsError,
    IdentityError,
    UnreachableError,
    WrongAddressError,
)
from segops_durable.watching.sentences import details_of, sentence_of

pytestmark = pytest.mark.one_python

WELL = Stats(
    pending=0,
    dead=0,
    oldest_age=None,
    queue_bytes=0,
    accepted_total=0,
    dropped_total=0,
    lost_total=0,
    expired_total=0,
    state=State.IDLE,
    retry_at=None,
    last_error=None,
    last_accepted_at=None,
)


@pytest.mark.parametrize("state", State)
def test_each_state_has_a_sentence_of_its_own(state: State) -> None:
    sentence = sentence_of(replace(WELL, state=state))
    assert sentence.endswith(".")
    others = {sentence_of(replace(WELL, state=other)) for other in State if other is not state}
    assert sentence not in others


def test_a_wrong_address_is_told_from_a_wrong_key() -> None:
    key = replace(WELL, state=State.UNAUTHORISED, last_error=CredentialsError("no"))
    address = replace(key, last_error=WrongAddressError("no"))
    assert "key" in sentence_of(key)
    assert "address" in sentence_of(address)


def test_events_that_wait_for_a_session_are_told_of_without_a_name() -> None:
    held = replace(WELL, pending=3, held={"somebody": 3}, last_error=IdentityError("somebody"))
    assert sentence_of(held).startswith("3 events wait for a session")
    assert "somebody" not in sentence_of(held)
    assert "somebody" in details_of(held)


def test_an_error_that_is_over_is_not_told_of() -> None:
    failed = replace(WELL, state=State.BACKING_OFF, last_error=UnreachableError("no route"))
    assert "no route" in details_of(failed)
    assert details_of(replace(failed, state=State.IDLE)) == ""
