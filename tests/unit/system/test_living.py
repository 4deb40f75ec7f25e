from __future__ import annotations

import gc
import threading

from segops_durable.system.living import Living


class Something:
    """What is known."""


def test_what_nobody_uses_any_more_is_not_known() -> None:
    known: Living[Something] = Living()
    kept, dropped = Something(), Something()
    for each in (kept, dropped):
        known.add(each)
    assert set(known.now()) == {kept, dropped}
    del dropped, each
    gc.collect()
    assert known.now() == [kept]


def test_any_thread_may_add_one_while_another_looks() -> None:
    known: Living[Something] = Living()
    kept = [Something() for _ in range(100)]
    are_all = threading.Event()

    def add() -> None:
        for one in kept:
            known.add(one)
            for _ in range(100):
                known.add(Something())
        are_all.set()

    other = threading.Thread(target=add)
    other.start()
    while not are_all.is_set():
        assert len(known.now()) <= len(kept) + 1
    other.join()
    assert set(known.now()) == set(kept)
