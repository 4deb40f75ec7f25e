"""The events of a request, as they are read."""

from __future__ import annotations

import json
from typing import Any

import pytest

from segops_durable.relay import documents
from segops_durable.system.clock import Moment

pytestmark = pytest.mark.one_python


def fail(*_: Any) -> Any:
    raise AssertionError


def test_none_of_a_batch_of_events_that_are_alike_is_looked_at_by_itself(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pytest.importorskip("orjson")
    sent = [{"user_id": "u", "event_type": "x", "payload": {"n": n}} for n in range(9)]
    document, write = documents.read_document(json.dumps({"events": sent}).encode())
    monkeypatch.setattr(documents, "encode_one", fail)
    events = documents.events_of(document)
    found = documents.encode_all(events, write, Moment(1.0e9), None, 1000, is_batch=True)
    assert [json.loads(each)["payload"] for each in found.encoded] == [
        each["payload"] for each in sent
    ]
