"""A program written for the official client has to run unchanged, and send the same."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

import pytest
import segops

import segops_durable
from segops_durable.sandbox import HMAC_SECRET

if TYPE_CHECKING:
    from segops_durable.sandbox import Sandbox

WHEN = "2026-01-31T12:00:00+00:00"


def program(package: Any, url: str, **options: Any) -> None:
    """What a user of the official client might have written."""
    failures: list[BaseException] = []
    with package.SegOpsClient(url, "sk_test", on_error=failures.append, **options) as client:
        client.track(
            package.Event(
                user_id="u-1", event_type="order_placed", occurred_at=WHEN, payload={"a": 1}
            )
        )
        client.track({"user_id": "u-2", "event_type": "page_viewed", "occurred_at": WHEN})
        client.track(user_id="u-3", event_type="page_viewed", occurred_at=WHEN, payload=None)
        client.identify(package.Context(user_id="u-1", traits={"plan": "pro"}))
        client.identify({"user_id": "u-2", "traits": {"plan": "free"}})
        client.identify(user_id="u-3")
        client.flush()
        client.reset_session()
    client.close()
    client.shutdown()
    assert failures == []


def public_program(package: Any, url: str, **options: Any) -> None:
    """The same on a device."""
    signed = package.sign_user_id(HMAC_SECRET, "ann")
    client = package.SegOpsClient(
        url,
        "pk_test",
        get_user=lambda: package.UserContext(
            user_id=signed["user_id"],
            user_id_sig=signed["user_id_sig"],
            user_id_ts=signed["user_id_ts"],
        ),
        **options,
    )
    client.track(user_id="ann", event_type="page_viewed", occurred_at=WHEN)
    client.shutdown()


def received(sandbox: Sandbox) -> list[Any]:
    found = []
    for row in sandbox.events():
        event = dict(row["event"])
        if event["event_type"] == "context_identified":
            assert event.pop("occurred_at")  # the time of the call
        found.append((row["user_id"], event))
    return found


@pytest.mark.usefixtures("default_directory")
@pytest.mark.parametrize("batch", [True, False])
@pytest.mark.parametrize("run", [program, public_program])
def test_the_same_program_sends_the_same_events(sandbox: Sandbox, run: Any, batch: bool) -> None:
    sandbox.configure(require_signed=True)
    run(segops, sandbox.url, batch=batch)
    official = received(sandbox)
    requests = len(sandbox.requests())
    run(segops_durable, sandbox.url, batch=batch)
    ours = received(sandbox)[len(official) :]
    for _, event in ours:
        # the official Swift client sends it, the Python one does not
        assert ("anonymous_id" in event) is (run is public_program)
        event.pop("anonymous_id", None)
    assert ours == official
    assert len(sandbox.requests()) > requests


def test_every_parameter_of_the_official_client_is_taken_but_its_transport() -> None:
    for name in ("track", "identify", "flush", "shutdown", "close", "reset_session"):
        theirs = inspect.signature(getattr(segops.SegOpsClient, name)).parameters
        ours = inspect.signature(getattr(segops_durable.SegOpsClient, name)).parameters
        assert list(theirs) == list(ours)[: len(theirs)], name
    theirs = inspect.signature(segops.SegOpsClient).parameters
    ours = inspect.signature(segops_durable.SegOpsClient).parameters
    assert set(theirs) - set(ours) == {"transport"}
    for name in set(theirs) & set(ours):
        assert theirs[name].default == ours[name].default, name
