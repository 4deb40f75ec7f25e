"""One process wakes another without a file, and nobody else does."""

from __future__ import annotations

import os
import socket
import sys
import threading
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest

from segops_durable.system import knocks
from segops_durable.system.knocks import Ear, Knock

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

WAIT_SECONDS = 20
WORD = "0" * 32


@pytest.fixture(params=["here", "without abstract names"])
def _platform(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param != "here":
        monkeypatch.setattr(knocks, "sys", SimpleNamespace(platform="darwin"))


class Listener:
    """An ear, and the thread that hears by it."""

    def __init__(self) -> None:
        self.ear = Ear()
        self.heard: list[str] = []
        self.thread = threading.Thread(target=self._run)
        self.thread.start()

    def _run(self) -> None:
        while (said := self.ear.hear()) is not None:
            self.heard.append(said)
        self.ear.close()

    def end(self) -> None:
        self.ear.end()
        self.thread.join(WAIT_SECONDS)
        assert not self.thread.is_alive()
        assert all(self.heard)  # its end is none of them


@pytest.fixture
def listener(_platform: None) -> Iterator[Listener]:
    listener = Listener()
    yield listener
    listener.end()


def test_a_knock_is_heard_and_whoever_knocked_hears_that(
    listener: Listener, wait_until: Callable[[Callable[[], object]], None]
) -> None:
    knock = Knock(listener.ear.address)
    assert not knock.is_heard()
    assert knock.send("full")
    wait_until(knock.is_heard)
    knock.close()
    wait_until(lambda: listener.heard == ["full"])  # it answers first


def test_who_does_not_know_the_word_is_not_heard(
    listener: Listener, wait_until: Callable[[Callable[[], object]], None]
) -> None:
    kind, name, word = listener.ear.address.split(":")
    stranger = Knock(f"{kind}:{name}:{word[::-1]}")
    assert stranger.send("full")
    known = Knock(listener.ear.address)
    assert known.send("round")
    wait_until(known.is_heard)  # after the stranger's
    wait_until(lambda: listener.heard != [])
    assert listener.heard == ["round"]
    assert not stranger.is_heard()
    for each in (stranger, known):
        each.close()


def test_at_the_address_of_one_that_has_ended_there_is_nobody(listener: Listener) -> None:
    listener.end()
    knock = Knock(listener.ear.address)
    if listener.ear.address.startswith("unix:"):  # a datagram to a port that is closed just goes
        assert not knock.send("full")
    assert not knock.is_heard()
    knock.close()


@pytest.mark.usefixtures("_platform")
def test_a_knock_at_one_that_is_deaf_neither_waits_nor_is_heard() -> None:
    ear = Ear()  # and nobody who hears by it
    knock = Knock(ear.address)
    for _ in range(1000):  # more than fit in
        assert knock.send("full")
    assert not knock.is_heard()
    ear.end()  # nor does that wait
    assert ear.hear() is None
    for each in (knock, ear):
        each.close()


@pytest.mark.parametrize(
    "address",
    [
        "",
        "unix",
        "unix:a:b",
        f"tcp:1:{WORD}",
        f"udp:x:{WORD}",
        f"unix:0{WORD}:{WORD}",
        f"unix:\ud800:{WORD}",
    ],
)
def test_what_is_no_address_is_refused(address: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        Knock(address)


@pytest.mark.skipif(sys.platform != "linux", reason="numbers are given anew in order")
def test_a_descriptor_that_became_a_strangers_is_neither_read_nor_written_nor_closed() -> None:
    ear = Ear()
    knock = Knock(ear.address)
    theirs, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    with theirs, other:
        for each in (ear, knock):
            os.dup2(theirs.fileno(), each._socket.fileno())  # what a daemon's closing leads to
        assert ear.hear() is None
        ear.end()
        assert not knock.send("full")
        assert not knock.is_heard()
        numbers = [each._socket.fileno() for each in (ear, knock)]
        for each in (ear, knock):
            each.close()
        for number in numbers:
            assert os.path.sameopenfile(number, theirs.fileno())
            os.close(number)
        other.settimeout(0)
        with pytest.raises(BlockingIOError):
            other.recv(1)


@pytest.mark.skipif(sys.platform != "linux", reason="numbers are given anew in order")
def test_no_answer_goes_out_by_what_has_the_descriptor_since_the_knock_came(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ear = Ear()
    knock = Knock(ear.address)
    mine = ear._socket
    theirs, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    with theirs, other:

        def recvfrom(size: int) -> tuple[bytes, object]:
            found = mine.recvfrom(size)
            os.dup2(theirs.fileno(), mine.fileno())
            return found

        wrapped = {name: getattr(mine, name) for name in ("sendto", "fileno", "detach", "close")}
        monkeypatch.setattr(ear, "_socket", SimpleNamespace(recvfrom=recvfrom, **wrapped))
        assert knock.send("full")
        assert ear.hear() is None
        assert not knock.is_heard()
        number = mine.fileno()
        for each in (ear, knock):
            each.close()
        os.close(number)


def test_a_system_that_takes_a_long_datagram_for_an_error_makes_nobody_deaf(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ear = Ear()
    knock = Knock(ear.address)
    mine = ear._socket

    def recvfrom(size: int) -> tuple[bytes, object]:
        data, whence = mine.recvfrom(1 << 20)
        if len(data) > size:
            raise OSError(10040, "a message on a datagram socket was larger than the buffer")
        return data, whence

    wrapped = {name: getattr(mine, name) for name in ("sendto", "fileno", "detach", "close")}
    monkeypatch.setattr(ear, "_socket", SimpleNamespace(recvfrom=recvfrom, **wrapped))
    stranger = knock._socket
    stranger.sendto(b"x" * 60_000, knock._to)
    assert knock.send("full")
    assert ear.hear() == "full"
    for each in (ear, knock):
        each.close()
