"""What differs from the official package: a case for each row of README's table."""

from __future__ import annotations

import math
import os
import subprocess
import sys
import threading
import time
import uuid
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
import requests
import segops

import segops_durable
from segops_durable import (
    ClosedError,
    ConfigurationError,
    InvalidEventError,
    PendingEventsError,
    UserContext,
)
from segops_durable.sandbox import HMAC_SECRET
from support.official import Driver, after_another, is_lost_in_silence, one

if TYPE_CHECKING:
    from collections.abc import Mapping


def naive_times(drive: Driver) -> None:
    for when in ("2026-01-31T12:00:00", "yesterday"):
        assert is_lost_in_silence(drive.theirs(one(occurred_at=when)))
        assert isinstance(drive.ours(one(occurred_at=when)).raised, InvalidEventError)
    assert len(drive.ours(one(occurred_at="2026-01-31T12:00:00+01:00")).arrived) == 1


def ids_that_have_a_text(drive: Driver) -> None:
    some = uuid.UUID(int=1)
    assert is_lost_in_silence(drive.theirs(one(user_id=5)))
    ran = drive.theirs(after_another(user_id=some))
    assert (type(ran.raised), ran.arrived) == (TypeError, [])
    assert drive.ours(one(user_id=5)).users == ["5"]
    assert drive.ours(one(user_id=some)).users == [str(some)]


def ids_that_are_none(drive: Driver) -> None:
    for bad in (1.5, True, b"u", ""):
        assert drive.theirs(one(user_id=bad)).arrived == []
        ran = drive.ours(after_another(user_id=bad))
        assert isinstance(ran.raised, InvalidEventError)
        assert ran.users == ["good"]


def without_a_user(drive: Driver) -> None:
    def of_a_dict(client: Any) -> None:
        client.track({"event_type": "x"})

    assert type(drive.theirs(one(user_id=None)).raised) is TypeError
    assert type(drive.theirs(of_a_dict).raised) is KeyError
    for program in (one(user_id=None), of_a_dict):
        raised = drive.ours(program).raised
        assert isinstance(raised, InvalidEventError)
        assert isinstance(raised, ValueError)
        assert raised.field == "user_id"


def what_is_not_json(drive: Driver) -> None:
    ran = drive.theirs(after_another(payload={"tags": {1, 2}}))
    assert (type(ran.raised), ran.arrived) == (TypeError, [])
    ran = drive.ours(after_another(payload={"tags": {1, 2}}))
    assert isinstance(ran.raised, InvalidEventError)
    assert ran.users == ["good"]
    assert len(drive.ours(one(payload={"tags": [1, 2]})).arrived) == 1


def numbers_that_are_none(drive: Driver) -> None:
    ran = drive.theirs(after_another(payload={"price": math.nan}))
    assert (type(ran.raised), ran.arrived) == (RuntimeError, [])
    ran = drive.ours(after_another(payload={"price": math.nan}))
    assert isinstance(ran.raised, InvalidEventError)
    assert ran.users == ["good"]
    assert drive.ours(one(payload={"price": None})).arrived[0]["payload"] == {"price": None}


def keys_that_are_no_texts(drive: Driver) -> None:
    assert drive.theirs(one(payload={1: "x"})).arrived[0]["payload"] == {"1": "x"}
    assert isinstance(drive.ours(one(payload={1: "x"})).raised, InvalidEventError)
    assert drive.ours(one(payload={"1": "x"})).arrived[0]["payload"] == {"1": "x"}


def payloads_that_change(drive: Driver) -> None:
    def program(client: Any) -> None:
        payload = {"n": 1}
        client.track(user_id="u", event_type="x", payload=payload)
        payload["n"] = 2

    assert drive.theirs(program).arrived[0]["payload"] == {"n": 2}
    assert drive.ours(program).arrived[0]["payload"] == {"n": 1}


def large_events(drive: Driver) -> None:
    large = one(payload={"text": "y" * 300_000})
    assert len(drive.theirs(large).arrived) == 1
    assert isinstance(drive.ours(large).raised, InvalidEventError)
    assert len(drive.ours(large, max_event_bytes=1 << 20).arrived) == 1


def after_shutdown(drive: Driver) -> None:
    def program(client: Any) -> None:
        client.shutdown()
        client.track(user_id="u", event_type="x")

    assert is_lost_in_silence(drive.theirs(program))
    assert isinstance(drive.ours(program).raised, ClosedError)


def failing_flush(drive: Driver) -> None:
    def program(client: Any) -> Any:
        drive.sandbox.faults(status=503, json={"detail": "Down."})
        client.track(user_id="u", event_type="x")
        try:
            return client.flush()
        finally:
            drive.sandbox.faults()

    ran = drive.theirs(program)
    assert (type(ran.raised), ran.arrived) == (RuntimeError, [])
    ran = drive.ours(program)
    assert (ran.raised, ran.returned.pending, len(ran.arrived)) == (None, 1, 1)
    raised = drive.ours(lambda client: program(client).raise_for_pending()).raised
    assert isinstance(raised, PendingEventsError)


def failing_shutdown(drive: Driver) -> None:
    path = drive.home / "kept.db"

    def program(client: Any) -> None:
        drive.sandbox.stop()
        client.track(user_id="u", event_type="x")

    assert isinstance(drive.theirs(program).raised, OSError)
    drive.sandbox.start()
    assert drive.ours(program, queue_path=path, shutdown_timeout=0.5).raised is None
    drive.sandbox.start()
    assert len(drive.ours(lambda client: client.flush(), queue_path=path).arrived) == 1


def programs_that_just_end(drive: Driver) -> None:
    found = {}
    for package in ("segops", "segops_durable"):
        before = len(drive.sandbox.events())
        code = f"import {package} as s; c = s.SegOpsClient({drive.sandbox.url!r}, 'sk_test'); "
        code += "c.track(user_id='u', event_type='x')"
        environment = {**os.environ, "SEGOPS_QUEUE_PATH": "", "HOME": str(drive.home)}
        environment["XDG_STATE_HOME"] = str(drive.home)
        subprocess.run([sys.executable, "-c", code], env=environment, check=True)
        found[package] = len(drive.sandbox.events()) - before
    assert found == {"segops": 0, "segops_durable": 1}


def what_on_error_hears(drive: Driver) -> None:
    def program(client: Any) -> None:
        drive.sandbox.faults(status=400, json={"detail": "No."})
        client.track(user_id="u", event_type="x")
        client.track(user_id="u", event_type="x")
        with suppress(RuntimeError):
            client.flush()
        drive.sandbox.faults()

    (theirs, _), *_ = drive.theirs(program, batch_size=1).told
    assert type(theirs) is RuntimeError
    assert str(theirs).startswith("SegOps: HTTP 400 — ")
    (ours, _), *_ = drive.ours(program, batch_size=1).told
    assert isinstance(ours, segops_durable.DeliveryError)
    assert (ours.status, ours.batch_size, ours.retry_at) == (400, 1, None)
    assert ours.hint


def without_batches(drive: Driver) -> None:
    def program(client: Any) -> None:
        drive.sandbox.faults(status=503, json={"detail": "Down."})
        client.track(user_id="u", event_type="x")
        if isinstance(client, segops_durable.SegOpsClient):
            client.flush()
        drive.sandbox.faults()

    here = threading.get_ident()
    assert {thread for _, thread in drive.theirs(program, batch=False).told} == {here}
    told = drive.ours(program, batch=False).told
    assert told
    assert here not in {thread for _, thread in told}


def large_batches(drive: Driver) -> None:
    def program(client: Any) -> None:
        for _ in range(501):
            client.track(user_id="u", event_type="x")

    ran = drive.theirs(program, batch_size=501)
    assert ([type(error) for error, _ in ran.told], ran.arrived) == ([RuntimeError], [])
    assert isinstance(drive.ours(program, batch_size=501).raised, ConfigurationError)
    assert len(drive.ours(program, batch_size=500, durability="normal").arrived) == 501


def numbers_of_nothing(drive: Driver) -> None:
    for option in ("batch_size", "flush_interval"):
        assert drive.theirs(one(), **{option: 0}).raised is None
        raised = drive.ours(one(), **{option: 0}).raised
        assert isinstance(raised, ConfigurationError)
        assert raised.field == option


def in_the_clear(drive: Driver) -> None:
    def nothing(_client: Any) -> None:
        pass

    url = "http://segops.example"
    assert drive.theirs(nothing, api_url=url).raised is None
    assert isinstance(drive.ours(nothing, api_url=url).raised, ConfigurationError)
    assert drive.ours(nothing, api_url=url, allow_insecure=True).raised is None


def other_keys(drive: Driver) -> None:
    for key in ("mk_test", "hello"):
        before = len(drive.sandbox.requests())
        assert isinstance(drive.theirs(one(), api_key=key).raised, RuntimeError)
        assert len(drive.sandbox.requests()) == before + 1
        assert isinstance(drive.ours(one(), api_key=key).raised, ConfigurationError)


def transports(drive: Driver) -> None:
    asked = []

    def transport(url: str, *, body: Any, headers: Mapping[str, str], timeout: float) -> Any:
        asked.append((url, body, headers, timeout))
        return SimpleNamespace(status=202, ok=True, body="")

    assert drive.theirs(one(), transport=transport).raised is None
    assert len(asked) == 1
    assert type(drive.ours(one(), transport=transport).raised) is TypeError
    with requests.Session() as session:
        assert len(drive.ours(one(), http_session=session).arrived) == 1


def visitors(drive: Driver) -> None:
    assert drive.theirs(one(), api_key="pk_test").users == ["anonymous"]
    first, second = (drive.ours(one(), api_key="pk_test").users for _ in range(2))
    assert first != second
    assert "anonymous" not in {*first, *second}
    assert UserContext().anonymous_id is None


def times_to_sign(_drive: Driver) -> None:
    now = time.time()
    sign: Any = segops_durable.sign_user_id
    theirs: Any = segops.sign_user_id
    with pytest.raises(ConfigurationError, match="whole seconds"):
        sign(HMAC_SECRET, "u", now)
    assert theirs(HMAC_SECRET, "u", now)["user_id_ts"] == now
    assert segops_durable.sign_user_id(HMAC_SECRET, "u", int(now)) == segops.sign_user_id(
        HMAC_SECRET, "u", int(now)
    )


def portals(drive: Driver) -> None:
    def program(client: Any) -> Any:
        drive.sandbox.faults(portal=True)
        client.track(user_id="u", event_type="x")
        try:
            return client.flush()
        finally:
            drive.sandbox.faults()

    assert is_lost_in_silence(drive.theirs(program))
    ran = drive.ours(program)
    assert (ran.returned.pending, len(ran.arrived)) == (1, 1)
    assert isinstance(ran.told[0][0], segops_durable.NotSegOpsError)


def no_disk(drive: Driver) -> None:
    assert len(drive.theirs(one()).arrived) == 1
    assert not list(drive.home.iterdir())
    nowhere = Path("/proc/no-disk/outbox.db")
    assert isinstance(drive.ours(one(), queue_path=nowhere).raised, segops_durable.StorageError)
    assert len(drive.ours(one()).arrived) == 1


CASES = (
    naive_times,
    ids_that_have_a_text,
    ids_that_are_none,
    without_a_user,
    what_is_not_json,
    numbers_that_are_none,
    keys_that_are_no_texts,
    payloads_that_change,
    large_events,
    after_shutdown,
    failing_flush,
    failing_shutdown,
    programs_that_just_end,
    what_on_error_hears,
    without_batches,
    large_batches,
    numbers_of_nothing,
    in_the_clear,
    other_keys,
    transports,
    visitors,
    times_to_sign,
    portals,
    no_disk,
)
"""In the order of the rows."""
