"""What SegOps finds too large is halved, and the limit is learned."""

from __future__ import annotations

import math
from collections import Counter
from typing import TYPE_CHECKING

import pytest

from segops_durable import Cause
from support.events import numbers, track
from support.peer import Peer, Request, answer

if TYPE_CHECKING:
    from collections.abc import Callable

    from segops_durable import SegOpsClient
    from segops_durable.sandbox import Sandbox
    from support.rig import Rig

pytestmark = pytest.mark.one_python


# Too large


def test_a_batch_that_is_too_large_is_halved_and_the_next_ones_start_at_what_worked(
    make_client: Callable[..., SegOpsClient], sandbox: Sandbox
) -> None:
    sandbox.faults(body_limit=1000)
    client = make_client(batch_size=100)
    track(client, 300, first=100)
    assert client.flush(timeout=30).ok
    answers = [request["answer"] for request in sandbox.requests()]
    refused = answers.count("413")
    assert 1 <= refused <= math.ceil(math.log2(100))
    assert "413" not in answers[answers.index("202") :]
    assert sorted(numbers(sandbox)) == list(range(100, 400))
    bodies = [each["body_bytes"] for each in sandbox.requests() if each["answer"] == "202"]
    assert min(bodies[-10:-1]) > 300  # and not at one event each


def test_one_event_that_is_too_large_goes_to_the_dead_letters(
    make_client: Callable[..., SegOpsClient],
) -> None:
    def react(request: Request) -> bytes:
        if len(request.body) > 5000:
            return answer(413, "<html>too large</html>", content_type="text/html")
        return segops.accept(request)

    with Peer(react) as segops:
        client = make_client(api_url=segops.url)
        track(client, 5)
        client.track(user_id="u", event_type="e", payload={"n": 5, "blob": "x" * 6000})
        track(client, 5, first=6)
        result = client.flush(timeout=60)
        assert (result.sent, result.dead) == (10, 1)
        (letter,) = client.dead_letters()
        assert (letter.cause, letter.status) == (Cause.TOO_LARGE, 413)
        client.shutdown(0)
    assert segops.accepted == Counter(set(range(11)) - {5})


def test_a_learned_limit_is_forgotten_after_ten_minutes(make_rig: Callable[..., Rig]) -> None:
    def react(request: Request) -> bytes:
        return segops.accept(request) if len(request.body) <= limit else answer(413, {})

    limit = 300
    with Peer(react) as segops:
        rig = make_rig(segops.url)
        rig.append(20)
        rig.round()
        limit = 1_000_000
        rig.append(20)
        rig.round()
        assert len(segops.requests[-1].numbers) < 20
        rig.clock.move(601)
        rig.append(20)
        rig.round()
        assert len(segops.requests[-1].numbers) == 20


def test_the_rest_of_a_full_batch_that_is_too_large_does_not_wait_until_it_is_full_again(
    make_rig: Callable[..., Rig],
) -> None:
    def react(request: Request) -> bytes:
        return segops.accept(request) if len(request.numbers) <= 10 else answer(413, {})

    with Peer(react) as segops:
        rig = make_rig(segops.url)
        rig.append(20)
        rig.delivery.sender.run_round(0)
    assert segops.accepted == Counter(range(20))
