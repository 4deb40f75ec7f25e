"""The stream, over real connections, of a view that says how often it was asked."""

from __future__ import annotations

import http.client
import socket
import threading
from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from segops_durable.page import Glance
from support.pages import page_of_view, read_stream

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

QUIET = Glance(at=0.0, state="idle", sentence="Well.", next_at=None, figures={}, points=())


class CountingView:
    """Says how often it looked; each look is one more.

    Attributes:
        looks: How often it looked.
        begun: How often somebody began to look.
        ends: How often the last of them left.
        ended: Set while nobody looks.
        details: What it says.
        error: What it raises instead.
    """

    def __init__(self) -> None:
        self.looks = self.begun = self.ends = 0
        self.ended = threading.Event()
        self.details = ""
        self.error: Exception | None = None

    def begin(self) -> None:
        self.begun += 1
        self.ended.clear()

    def look(self) -> Glance:
        self.looks += 1
        if self.error is not None:
            raise self.error
        return replace(QUIET, at=float(self.looks), details=self.details)

    def end(self) -> None:
        self.ends += 1
        self.ended.set()


@pytest.fixture
def view(monkeypatch: pytest.MonkeyPatch) -> CountingView:
    monkeypatch.setattr("segops_durable.page.feed.TICK_SECONDS", 0.05)
    monkeypatch.setattr("segops_durable.page.feed.LINGER_SECONDS", 0.0)
    return CountingView()


@pytest.fixture
def url(view: CountingView) -> Iterator[str]:
    with page_of_view(view) as found:
        yield found


class Looking:
    """Somebody who looks."""

    def __init__(self, url: str) -> None:
        self.connection = http.client.HTTPConnection(url.removeprefix("http://"), timeout=60)
        self.connection.request("GET", "/page/stream")
        self.answer = self.connection.getresponse()
        self.told = read_stream(iter(self.answer))

    def next(self) -> tuple[str, float]:
        name, document = next(self.told)
        return name, document.get("at", 0.0)

    def close(self) -> None:
        self.connection.close()
        self.answer.close()


def test_however_many_look_there_is_one_look_for_all(view: CountingView, url: str) -> None:
    lookers = [Looking(url) for _ in range(8)]
    told = [[each.next() for _ in range(5)] for each in lookers]
    for each in told:
        assert each[0][0] == "whole"
        assert [name for name, _ in each[1:]] == ["change"] * 4
        moments = [at for _, at in each]
        assert moments == [moments[0] + number for number in range(5)]  # each of them, once
    assert view.begun == 1
    for looker in lookers:
        looker.close()


def test_when_nobody_looks_nothing_is_looked_at(view: CountingView, url: str) -> None:
    assert (view.looks, view.begun) == (0, 0)
    first = Looking(url)
    first.next()
    first.close()
    assert view.ended.wait(60)
    looks = view.looks
    second = Looking(url)
    assert second.next() == ("whole", looks + 1.0)
    assert (view.begun, view.ends) == (2, 1)
    second.close()


def test_no_more_look_than_may_and_who_leaves_makes_room(
    url: str, monkeypatch: pytest.MonkeyPatch, wait_until: Callable[..., None]
) -> None:
    monkeypatch.setattr("segops_durable.page.feed.MOST_VIEWERS", 2)
    first, second, third = (Looking(url) for _ in range(3))
    assert [each.answer.status for each in (first, second, third)] == [200, 200, 503]
    third.close()
    assert first.next()[0] == "whole"
    first.close()

    def there_is_room() -> bool:
        with closing(Looking(url)) as found:
            return found.answer.status == 200

    wait_until(there_is_room)
    assert second.next()[0] == "whole"
    second.close()


def test_whoever_takes_nothing_is_let_go_and_others_are_told_on(
    view: CountingView, url: str, monkeypatch: pytest.MonkeyPatch, wait_until: Callable[..., None]
) -> None:
    monkeypatch.setattr("segops_durable.page.stream.SEND_SECONDS", 2.0)
    monkeypatch.setattr("segops_durable.page.feed.MOST_VIEWERS", 2)
    view.details = "x" * 1_000_000
    host, _, port = url.removeprefix("http://").partition(":")
    with socket.create_connection((host, int(port))) as deaf:
        deaf.sendall(f"GET /page/stream HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
        other = Looking(url)
        names: list[str] = []
        taking = threading.Thread(target=lambda: names.extend(name for name, _ in other.told))
        taking.start()

        def there_is_room() -> bool:
            with closing(Looking(url)) as found:
                return found.answer.status == 200

        wait_until(there_is_room)
        before = view.looks
        wait_until(lambda: view.looks > before + 3)
        assert taking.is_alive()
    view.error = SystemError("enough")
    wait_until(lambda: "trouble" in names)
    other.connection.sock.shutdown(socket.SHUT_RDWR)
    taking.join()
    other.close()
    assert names[0] == "whole"


def test_a_stream_ends_after_a_while_and_whoever_is_there_asks_again(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("segops_durable.page.stream.STREAM_SECONDS", 0.2)
    looker = Looking(url)
    assert len(list(looker.told)) >= 1  # it has an end, and no error
    looker.connection.request("GET", "/page/stream")  # over the same connection
    assert looker.connection.getresponse().status == 200
    looker.close()


def test_a_look_that_fails_is_told_of_and_the_next_tells_all_anew(
    view: CountingView, url: str
) -> None:
    looker = Looking(url)
    looker.next()
    view.error = OSError("the disk is gone")
    name, document = next(told for told in looker.told if told[0] != "change")
    assert (name, document["sentence"]) == ("trouble", "the disk is gone")
    view.error = None
    assert next(name for name, _ in looker.told if name != "trouble") == "whole"
    looker.close()


def test_somebody_who_looks_keeps_no_server_from_ending(view: CountingView) -> None:
    with page_of_view(view) as url:
        looker = Looking(url)
        looker.next()
    assert [name for name, _ in looker.told if name == "trouble"] == []  # it has ended
    assert view.ended.wait(60)
    looker.close()


def test_asking_for_the_head_of_the_stream_takes_nobodys_place(
    view: CountingView, url: str
) -> None:
    connection = http.client.HTTPConnection(url.removeprefix("http://"), timeout=60)
    for _ in range(40):
        connection.request("HEAD", "/page/stream")
        answer = connection.getresponse()
        assert (answer.status, answer.read()) == (200, b"")
    connection.close()
    assert view.looks == 0
