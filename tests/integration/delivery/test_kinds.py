"""Events of one kind of key, secret or public, under the other: they wait, and it is told."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest

from segops_durable import DamagedEventError, KeyKindError, SegOpsClient
from support.commands import Commands
from support.events import leave
from support.kiosk import Kiosk, event

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from segops_durable import SegOpsError
    from segops_durable.sandbox import Sandbox

pytestmark = pytest.mark.one_python


def attributed(sandbox: Sandbox) -> list[tuple[str, str]]:
    """Who was there, and who SegOps has it for."""
    return [(row["event"]["payload"]["by"], row["user_id"]) for row in sandbox.events()]


ANN = ("ann", "ann")


def leave_anns(make_client: Callable[..., SegOpsClient], sandbox: Sandbox, count: int = 2) -> None:
    """Leave events of ann's under a public key, one batch of them in flight."""
    kiosk = Kiosk()
    kiosk.user = "ann"
    client = make_client("pk_test", get_user=kiosk.get_user, max_retries=0)
    client.track(event("ann"))
    assert client.flush(timeout=60).ok, "there is a session now"
    sandbox.faults(status=503)
    for _ in range(count):
        client.track(event("ann"))
    assert client.flush(timeout=60).pending == count
    leave(client)
    sandbox.faults()


def test_events_of_a_public_key_wait_under_a_secret_one_and_others_go_on(
    make_client: Callable[..., SegOpsClient], sandbox: Sandbox
) -> None:
    leave_anns(make_client, sandbox)
    told: list[SegOpsError] = []
    client = make_client("sk_test", on_error=told.append)
    for number in range(2):
        client.track(event("job", number))
        result = client.flush(timeout=60)
        assert (result.sent, result.pending, result.blocked) == (1, 2, True)
    assert attributed(sandbox) == [ANN] + [("job", "someone")] * 2
    assert client.stats().held == {"ann": 2}
    errors = [each for each in told if isinstance(each, KeyKindError)]
    assert [each.batch_size for each in errors] == [2], "told once"
    assert "pk_" in errors[0].hint


def test_what_waited_under_the_other_key_goes_out_as_whoever_it_was_tracked_for(
    make_client: Callable[..., SegOpsClient], sandbox: Sandbox
) -> None:
    leave_anns(make_client, sandbox)
    first = sandbox.requests()[-1]["idempotency_key"]
    make_client("sk_test").shutdown(10)
    kiosk = Kiosk()
    kiosk.user = "ann"
    client = make_client("pk_test", get_user=kiosk.get_user)
    assert client.flush(timeout=60).ok
    assert attributed(sandbox) == [ANN] * 3
    assert sandbox.requests()[-1]["idempotency_key"] == first  # the batch that was in flight
    assert client.stats().held == {}


@pytest.mark.parametrize("is_first", [True, False])
def test_events_of_a_secret_key_wait_under_a_public_one_and_others_go_on(
    make_client: Callable[..., SegOpsClient], sandbox: Sandbox, is_first: bool
) -> None:
    kiosk = Kiosk()
    kiosk.user = "ann"
    if not is_first:  # behind somebody for whom nobody signs
        leave_anns(make_client, sandbox)
        kiosk.user = "bob"
    sandbox.configure(require_signed=True)
    sandbox.stop()
    client = make_client("sk_test", max_retries=0)
    client.track(event("job"))
    leave(client)
    sandbox.start()
    told: list[SegOpsError] = []
    client = make_client("pk_test", get_user=kiosk.get_user, on_error=told.append)
    client.track(event(kiosk.user))
    result = client.flush(timeout=60)
    assert (result.sent, result.blocked) == (1, True)
    assert attributed(sandbox)[-1] == (kiosk.user, kiosk.user)
    assert ("job", "someone") not in attributed(sandbox)
    assert client.stats().held == ({"": 1} if is_first else {"": 1, "ann": 2})
    assert [each.batch_size for each in told if isinstance(each, KeyKindError)] == [1]


def test_clients_of_both_kinds_of_key_send_side_by_side_each_its_own(
    make_client: Callable[..., SegOpsClient], sandbox: Sandbox
) -> None:
    kiosk = Kiosk()
    kiosk.user = "ann"
    job = make_client("sk_test", flush_interval=0.05)
    device = make_client("pk_test", get_user=kiosk.get_user, flush_interval=0.05)
    job.track(event("job"))
    assert job.flush(timeout=20).ok, "so it is the sender"
    for number in range(3):
        device.track(event("ann", number))
        job.track(event("job", number))
        assert device.flush(timeout=20).pending <= 1, "but for the other's"
        assert job.flush(timeout=20).pending <= 1
    device.shutdown(20)
    job.shutdown(20)
    expected = [ANN] * 3 + [("job", "someone")] * 4
    assert sorted(attributed(sandbox)) == expected


def test_a_dead_letter_that_is_put_back_waits_for_its_own_kind_of_key(
    make_client: Callable[..., SegOpsClient], sandbox: Sandbox
) -> None:
    kiosk = Kiosk()
    kiosk.user = "ann"
    client = make_client("pk_test", get_user=kiosk.get_user)
    client.track(event("ann"))
    assert client.flush(timeout=60).ok, "there is a session now"
    sandbox.faults(status=422)
    client.track(event("ann"))
    assert client.flush(timeout=60).dead == 1
    leave(client)
    sandbox.faults()
    client = make_client("sk_test")
    assert client.retry_dead_letters() == 1
    assert client.flush(timeout=60).blocked
    assert attributed(sandbox) == [ANN]
    assert client.stats().held == {"ann": 1}


def test_events_of_whoever_wait_under_a_secret_key(
    make_client: Callable[..., SegOpsClient], sandbox: Sandbox
) -> None:
    def nobody_knows() -> None:
        raise LookupError

    sandbox.stop()
    client = make_client("pk_test", get_user=nobody_knows, max_retries=0)
    client.track(event("?"))
    leave(client)
    sandbox.start()
    client = make_client("sk_test")
    assert client.flush(timeout=60).blocked
    assert sandbox.events() == []


@pytest.mark.parametrize("identity", ["user:ann", "visitor:5", "whoever", "garbage"])
def test_an_identity_that_is_damaged_into_the_other_kind_is_a_dead_letter(
    make_client: Callable[..., SegOpsClient], sandbox: Sandbox, queue_path: Path, identity: str
) -> None:
    sandbox.stop()
    client = make_client(max_retries=0)
    for number in range(3):
        client.track(event("job", number))
    leave(client)
    with closing(sqlite3.connect(queue_path)) as file:
        file.execute("DELETE FROM in_flight")
        file.execute("UPDATE queue_outbox SET identity = ? WHERE _id = 2", (identity,))
        file.commit()
    sandbox.start()
    told: list[SegOpsError] = []
    client = make_client(on_error=told.append)
    result = client.flush(timeout=60)
    assert (result.sent, result.pending, result.dead) == (2, 0, 1)
    assert any(isinstance(each, DamagedEventError) for each in told)
    assert not any(isinstance(each, KeyKindError) for each in told)


def test_the_commands_tell_of_events_that_wait_for_the_other_kind_of_key(
    make_client: Callable[..., SegOpsClient], sandbox: Sandbox, tmp_path: Path
) -> None:
    leave_anns(make_client, sandbox)
    commands = Commands(tmp_path, sandbox.url)
    commands.env["SEGOPS_QUEUE_PATH"] = str(tmp_path / "queue" / "outbox.db")
    assert commands.json("status")["under_public_key"] == 2
    drained: dict[str, Any] = commands.json("drain", status=1)
    assert drained["waiting"] == 2
    assert "public key" in drained["error"]
    assert "2 events were tracked under a pk_… key" in commands("doctor").output
    assert attributed(sandbox) == [ANN]
