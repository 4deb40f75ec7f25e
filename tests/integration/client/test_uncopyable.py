"""A client is not copied: whoever tries is told what to do instead, and loses nothing."""

from __future__ import annotations

import copy
import multiprocessing
import pickle
from concurrent.futures import ProcessPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

from segops_durable import SegOpsClient, UncopyableClientError

if TYPE_CHECKING:
    from collections.abc import Callable

HINT = "have the other make a client of its own"


def work(client: SegOpsClient) -> None:
    client.track(user_id="u", event_type="x")


@pytest.mark.parametrize(
    "attempt",
    [
        pickle.dumps,
        copy.copy,
        copy.deepcopy,
        lambda client: pickle.dumps(client.track),
        lambda client: pickle.dumps({"client": [client]}, protocol=0),
        lambda client: copy.deepcopy({"client": [client]}),
    ],
    ids=["pickle", "copy", "deepcopy", "a method", "in a dict", "deepcopy in a dict"],
)
def test_a_client_that_is_copied_says_what_to_do_instead(
    attempt: Callable[[Any], object], make_client: Callable[..., SegOpsClient]
) -> None:
    client = make_client()
    with pytest.raises(UncopyableClientError, match=HINT) as caught:
        attempt(client)
    assert isinstance(caught.value, TypeError)
    work(client)
    assert client.flush(60).ok


@pytest.mark.parametrize("start", ["spawn", "forkserver"])
def test_a_client_for_another_process_is_refused_where_it_is_given_away(
    make_client: Callable[..., SegOpsClient], start: str
) -> None:
    if start not in multiprocessing.get_all_start_methods():
        pytest.skip("this system has no such")
    client = make_client()
    context: Any = multiprocessing.get_context(start)
    with pytest.raises(UncopyableClientError, match=HINT):
        context.Process(target=work, args=(client,)).start()
    with (
        ProcessPoolExecutor(1, mp_context=context) as pool,
        pytest.raises(UncopyableClientError, match=HINT),
    ):
        pool.submit(work, client).result(30)
    work(client)
    assert client.flush(60).ok
