"""Whatever an observer does, a batch is sent once, and what became of it is told."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from segops_durable.api import Meaning, Verdict, Watch

if TYPE_CHECKING:
    from collections.abc import Callable

ACCEPTED = Verdict(Meaning.ACCEPTED, 202)
BATCH: Any = object()


class Raising:
    """Raises where it is told to."""

    def __init__(self, where: str, error: BaseException) -> None:
        self.where, self.error = where, error
        self.seen: list[object] = []

    def begin(self, batch: object) -> Callable[[Verdict | None], object]:
        self.seen.append(batch)
        if self.where == "begin":
            raise self.error
        return self.end

    def end(self, verdict: Verdict | None) -> None:
        self.seen.append(verdict)
        if self.where == "end":
            raise self.error


@pytest.mark.parametrize("where", ["begin", "end", "nowhere"])
@pytest.mark.parametrize("error", [RuntimeError("key sk_live_0123456789abcdef"), SystemExit(1)])
def test_what_an_observer_raises_is_logged_once_and_goes_no_further(
    where: str, error: BaseException, caplog: pytest.LogCaptureFixture
) -> None:
    observer = Raising(where, error)
    watch = Watch(observer)
    sent: list[object] = []

    def send(batch: object) -> Verdict:
        sent.append(batch)
        return ACCEPTED

    for _ in range(3):
        assert watch.send(BATCH, send) is ACCEPTED
    assert sent == [BATCH] * 3
    assert observer.seen == ([BATCH] * 3 if where == "begin" else [BATCH, ACCEPTED] * 3)
    assert len(caplog.records) == (where != "nowhere")
    assert "sk_live" not in caplog.text


def test_an_observer_hears_that_something_was_raised_and_whoever_sends_gets_it() -> None:
    observer = Raising("end", ValueError("its own"))

    def send(_batch: object) -> Verdict:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Watch(observer).send(BATCH, send)
    assert observer.seen == [BATCH, None]
