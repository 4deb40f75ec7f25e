"""A visitor's id beside a user's, by which SegOps links the two; and ids that are no texts."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any
from uuid import UUID

import pytest

from segops_durable import Context, Event, InvalidEventError, UserContext

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from segops_durable import SegOpsClient
    from segops_durable.sandbox import Sandbox

A_UUID = UUID(int=5)


def sent(client: SegOpsClient, sandbox: Sandbox) -> list[dict[str, Any]]:
    assert client.flush(timeout=60).ok
    return [row["event"] for row in sandbox.events()]


def test_an_anonymous_id_is_sent_with_an_event_however_it_was_given(
    make_client: Callable[..., SegOpsClient], sandbox: Sandbox, tmp_path: Path
) -> None:
    client = make_client()
    client.track(user_id="a", event_type="sold", anonymous_id="v-1")
    client.track({"user_id": "a", "event_type": "sold", "anonymous_id": "v-1"})
    client.track_many([Event("a", "sold", anonymous_id="v-1")])
    client.identify(user_id="a", anonymous_id="v-1")
    client.identify(Context("a", anonymous_id="v-1"))
    client.identify({"user_id": "a", "anonymous_id": "v-1"})
    path = tmp_path / "a.csv"
    path.write_text("user_id,event_type,anonymous_id,n\na,sold,v-1,1\na,sold,,2\n")
    assert client.import_events(path).stored == 2
    events = sent(client, sandbox)
    assert [each.get("anonymous_id") for each in events] == ["v-1"] * 7 + [None]
    assert "anonymous_id" not in events[-1]
    assert events[-2]["payload"] == {"n": 1}


def test_under_a_public_key_an_event_has_the_devices_own_visitor_and_no_other(
    make_client: Callable[..., SegOpsClient], sandbox: Sandbox, tmp_path: Path
) -> None:
    client = make_client("pk_test")
    mine = client.anonymous_id
    client.track(user_id="a", event_type="sold", anonymous_id=mine)
    client.track(user_id="a", event_type="sold")
    with pytest.raises(InvalidEventError, match="anonymous_id: must be the device's own"):
        client.track(user_id="a", event_type="sold", anonymous_id="another")
    path = tmp_path / "a.jsonl"
    rows = [{"user_id": "a", "event_type": "sold", "anonymous_id": each} for each in (mine, "b")]
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    result = client.import_events(path)
    assert (result.stored, result.rejected) == (1, 1)
    assert [each["anonymous_id"] for each in sent(client, sandbox)] == [mine] * 3


def test_the_visitor_whom_get_user_names_is_the_devices_own(
    make_client: Callable[..., SegOpsClient], sandbox: Sandbox
) -> None:
    client = make_client("pk_test", get_user=lambda: UserContext(anonymous_id="theirs"))
    client.track(user_id="a", event_type="sold", anonymous_id="theirs")
    with pytest.raises(InvalidEventError, match="must be the device's own"):
        client.track(user_id="a", event_type="sold", anonymous_id=client.anonymous_id)
    assert [each["anonymous_id"] for each in sent(client, sandbox)] == ["theirs"]


@pytest.mark.parametrize("value", ["", True, 1.5, b"v", ["v"], "\ud800"])
def test_an_anonymous_id_that_is_no_text_is_refused_by_its_field(
    make_client: Callable[..., SegOpsClient], value: Any
) -> None:
    with pytest.raises(InvalidEventError) as caught:
        make_client().track(user_id="a", event_type="sold", anonymous_id=value)
    assert caught.value.field == "anonymous_id"


def test_a_visitor_is_forgotten_by_the_id_in_the_events(
    make_client: Callable[..., SegOpsClient],
) -> None:
    client = make_client()
    client.track(user_id="a", event_type="sold", anonymous_id="v-1")
    client.track(user_id="a", event_type="sold", payload={"anonymous_id": "v-1"})
    client.track(user_id="a", event_type="sold", anonymous_id="v-2")
    assert client.forget("v-1") == 1
    assert client.stats().pending == 2


def test_a_visitors_id_does_not_erase_the_users_of_a_device(
    make_client: Callable[..., SegOpsClient],
) -> None:
    user: list[UserContext | None] = [UserContext(user_id="ann")]
    client = make_client("pk_test", get_user=lambda: user[0])
    client.track(user_id="ann", event_type="sold")
    user[0] = None
    client.track(user_id="x", event_type="sold")
    assert client.forget(client.anonymous_id) == 1
    assert client.stats().pending == 1


@pytest.mark.parametrize(
    ("user_id", "text"), [(5, "5"), (0, "0"), (-(10**25), f"-1{'0' * 25}"), (A_UUID, str(A_UUID))]
)
def test_a_user_id_that_is_a_number_or_a_uuid_is_sent_as_its_text(
    make_client: Callable[..., SegOpsClient],
    sandbox: Sandbox,
    tmp_path: Path,
    user_id: Any,
    text: str,
) -> None:
    client = make_client()
    client.track(user_id=user_id, event_type="sold")
    client.track({"user_id": user_id, "event_type": "sold"})
    client.track(Event(user_id, "sold"))
    client.identify(user_id=user_id, traits={})
    if isinstance(user_id, int):
        path = tmp_path / "a.jsonl"
        path.write_text(json.dumps({"user_id": user_id, "event_type": "sold"}) + "\n")
        assert client.import_events(path).stored == 1
    assert {each["user_id"] for each in sent(client, sandbox)} == {text}


@pytest.mark.parametrize(
    "user_id", [True, 5.0, None, float("nan"), pytest.param(10**5000, id="huge")]
)
def test_a_user_id_whose_text_may_be_another_is_refused(
    make_client: Callable[..., SegOpsClient], user_id: Any
) -> None:
    with pytest.raises(InvalidEventError) as caught:
        make_client().track(user_id=user_id, event_type="sold")
    assert caught.value.field == "user_id"
