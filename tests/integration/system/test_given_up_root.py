"""A program that gives up root goes on with what root made, or is told what to do."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from segops_durable import StorageError
from segops_durable.system.private_files import open_private
from support.users import OWNER, as_user, client_at, home_of, needs_root, roots

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [
    pytest.mark.one_python,
    needs_root,
    # Python warns of what is tested here
    pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning"),
]


def test_workers_that_gave_up_root_use_the_client_that_root_made(home: Path) -> None:
    client = client_at(home / "outbox.db")
    try:
        as_user(OWNER, lambda: client.track(user_id="ann", event_type="page_viewed"))
        assert client.stats().pending == 1
    finally:
        client.shutdown(0)


def test_a_file_that_was_there_is_opened_by_its_owner_as_by_root(home: Path) -> None:
    path = home / "note"
    os.close(open_private(path))
    assert path.stat().st_uid == OWNER

    def open_it() -> None:
        os.close(open_private(path))

    as_user(OWNER, open_it)


def test_a_worker_that_gave_up_root_stores_with_a_client_that_root_made_before_the_fork(
    home: Path,
) -> None:
    path = home / "outbox.db"
    client = client_at(path)
    client.track(user_id="ann", event_type="page_viewed")

    def work() -> None:
        client.track(user_id="ann", event_type="page_viewed")
        assert client.stats().pending == 2

    as_user(OWNER, work)
    client.track(user_id="ann", event_type="page_viewed")
    assert client.stats().pending == 3
    client.shutdown(0)
    assert roots(home) == []


def test_a_worker_that_may_not_use_roots_outbox_is_told_what_to_do_and_leaves_it_well() -> None:
    with home_of(0) as place:
        client = client_at(place / "outbox.db")
        client.track(user_id="ann", event_type="page_viewed")

        def work() -> None:
            for use in (
                lambda: client.track(user_id="ann", event_type="page_viewed"),
                lambda: client.flush(1),
                client.stats,
                client.reset,
            ):
                with pytest.raises(StorageError, match="given up its rights") as caught:
                    use()
                assert f"user {OWNER}" in caught.value.hint

        as_user(OWNER, work)
        client.track(user_id="ann", event_type="page_viewed")
        assert client.stats().pending == 2
        client.shutdown(0)
        assert {each.lstat().st_uid for each in place.rglob("*")} == {0}
