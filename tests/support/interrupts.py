"""Interrupts calls of a client at their instructions, as signal handlers do.

Run as a script, in a process that may hang and is ended then: the arguments are a URL, a
directory, a seed, and how many times to interrupt a call.
"""

from __future__ import annotations

import faulthandler
import io
import itertools
import random
import sys
import threading
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import segops_durable
from segops_durable import SegOpsClient, SegOpsError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import FrameType

_SEEN_IN = (segops_durable.__path__[0], threading.__file__)
_HANG_SECONDS = 30.0


class Interruption:
    """Runs a call, and another one in its middle, on the same thread."""

    def __init__(self, handler: Callable[[], object]) -> None:
        self._handler = handler
        self.left = 0
        self.place = "nowhere"

    def run(self, call: Callable[[], object], at: int) -> None:
        """Run a call, interrupted before its n-th instruction in the package."""
        self.left = at
        sys.settrace(self._enter)
        try:
            with suppress(SegOpsError):
                call()
        finally:
            sys.settrace(None)

    def _enter(self, frame: FrameType, _event: str, _argument: Any) -> Any:
        if self.left <= 0 or not frame.f_code.co_filename.startswith(_SEEN_IN):
            return None
        frame.f_trace_opcodes = True
        frame.f_trace_lines = False
        return self._step

    def _step(self, frame: FrameType, event: str, _argument: Any) -> Any:
        if event == "opcode":
            self.left -= 1
            if self.left == 0:
                self.place = f"{frame.f_code.co_filename}:{frame.f_lineno}"
                with suppress(SegOpsError):
                    self._handler()
        return self._step


class Calls:
    """Every public call, by name, on a client that is made anew where it was shut down."""

    def __init__(self, url: str, directory: Path, api_key: str) -> None:
        self._url = url
        self._key = api_key
        self._path = directory / f"{api_key}.db"
        self._odd = itertools.count()
        self.client = self._make()

    def _make(self) -> SegOpsClient:
        return SegOpsClient(
            self._url,
            self._key,
            queue_path=self._path,
            durability="normal",
            shutdown_timeout=0.02,
            on_error=lambda _error: None,
        )

    def renew(self) -> None:
        """Make a client, if this one was shut down."""
        try:
            self.client.stats()
        except SegOpsError:
            self.client = self._make()

    def call(self, name: str) -> object:
        """Make a call, on the client that is there now."""
        return self.named()[name]()

    def named(self) -> dict[str, Callable[[], object]]:
        row = {"user_id": "u-1", "event_type": "page_viewed"}
        return {
            "track": lambda: self.client.track(user_id="u-1", event_type="page_viewed"),
            "odd": lambda: self.client.track(user_id="u-1", event_type=f"Odd {next(self._odd)}"),
            "track_many": lambda: self.client.track_many([row, row]),
            "with_checkpoint": lambda: self.client.track_many([row], checkpoint=("job", 1)),
            "identify": lambda: self.client.identify(user_id="u-1", traits={}),
            "import": lambda: self.client.import_events(
                io.BytesIO(b'{"user_id":"u-1","event_type":"page_viewed"}\n'),
                file_format="jsonl",
                job=f"stream {next(self._odd)}",
            ),
            "flush": lambda: self.client.flush(0.02),
            "flush_all": self.client.flush,
            "shutdown": self.client.shutdown,
            "stats": self.client.stats,
            "dead_letters": lambda: list(self.client.dead_letters()),
            "retry": self.client.retry_dead_letters,
            "discard": lambda: self.client.discard_dead_letters([1]),
            "forget": lambda: self.client.forget("nobody"),
            "reset": self.client.reset,
            "reset_session": self.client.reset_session,
            "set_api_key": lambda: self.client.set_api_key(self._key),
            "checkpoint": lambda: self.client.checkpoint("job"),
            "anonymous_id": lambda: self.client.anonymous_id,
            "constructor": lambda: self._make().shutdown(0),
        }


def instructions_of(calls: Calls, name: str) -> int:
    """How many instructions a call has in the package, about."""
    counting = Interruption(lambda: None)
    most = 10_000_000
    counting.run(partial(calls.call, name), most)
    calls.renew()
    return max(1, most - counting.left)


def interruptions(calls: Calls, chance: random.Random, times: int) -> Iterator[str]:
    """Interrupt calls by calls, at random instructions; yield what was wrong with it."""
    named = tuple(calls.named())
    sizes = {name: instructions_of(calls, name) for name in named}
    pairs = list(itertools.product(named, named))
    chance.shuffle(pairs)  # so that many of them are all of them
    for name, handler in itertools.islice(itertools.cycle(pairs), times):
        interruption = Interruption(partial(calls.call, handler))
        faulthandler.dump_traceback_later(_HANG_SECONDS, exit=True)
        point = chance.randrange(sizes[name]) + 1
        try:
            interruption.run(partial(calls.call, name), point)
        except BaseException as error:  # noqa: BLE001 - whatever is no SegOpsError is wrong
            yield f"WRONG {name} by {handler} at {interruption.place}: {error!r}"
        survivor = threading.Thread(target=_use, args=(calls,))
        survivor.start()
        survivor.join()
        calls.renew()
        faulthandler.cancel_dump_traceback_later()


def _use(calls: Calls) -> None:
    with suppress(SegOpsError):
        calls.call("track")


def main() -> None:
    url, directory, seed, times = sys.argv[1:]
    chance = random.Random(int(seed))
    for key in ("sk_test", "pk_test"):
        calls = Calls(url, Path(directory), key)
        for line in interruptions(calls, chance, int(times)):
            sys.stdout.write(f"{line}\n")
        calls.client.shutdown(0)
    sys.stdout.write("done\n")


if __name__ == "__main__":
    main()
