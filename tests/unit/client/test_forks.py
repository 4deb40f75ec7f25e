from __future__ import annotations

import threading

from segops_durable.client.forks import _Participants


class Client:
    """Takes part in a fork."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def before_fork(self) -> None:
        self.asked.append("before")

    def after_fork_in_parent(self) -> None:
        self.asked.append("after")

    def after_fork_in_child(self) -> None:
        self.asked.append("child")


def test_clients_that_are_made_while_another_thread_forks_keep_none_from_letting_go() -> None:
    participants = _Participants()
    client = Client()
    participants.add(client)
    are_made = threading.Event()

    def make() -> None:
        for _ in range(10_000):
            participants.add(Client())
        are_made.set()

    other = threading.Thread(target=make)
    other.start()
    forks = 0
    while not are_made.is_set():
        participants.before()
        participants.after_in_parent()
        forks += 1
    other.join()
    assert client.asked == ["before", "after"] * forks
