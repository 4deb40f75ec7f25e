"""What waits in a file that another one replaces is kept once, however many have it open."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
from contextlib import ExitStack, closing
from typing import TYPE_CHECKING, Any

import pytest

from segops_durable import ConfigurationError, ReplacedOutboxError
from segops_durable.outbox import Outbox
from segops_durable.outbox.disk.files import companions
from segops_durable.outbox.records.notes import write_note
from support.damaged import drain, open_outbox
from support.outboxes import events, spoil

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

pytestmark = pytest.mark.skipif(
    sys.platform == "win32", reason="no file is replaced while it is open"
)

USER = """
import json, os, sys
from pathlib import Path
from segops_durable.outbox import Outbox
from segops_durable.outbox.store import keeping

def end(*_):
    os._exit(9)

def copy_and_end(*arguments):
    copy(*arguments)
    os._exit(9)

copy = keeping.copy_into
outbox = Outbox(Path(sys.argv[1]), api_url="https://api.segops.ai", key_fingerprint="k")
print("[]", flush=True)
for line in sys.stdin:
    what, number = line.split()
    if what == "lose":
        os.closerange(3, 256)
    elif what == "end-before":
        keeping.copy_into = end
    elif what == "end-after":
        keeping.copy_into = copy_and_end
    outbox.commit.append([b'{"n":%s}' % number.encode()])
    told = [(type(each).__name__, str(each), each.hint) for each in outbox.pop_incidents()]
    print(json.dumps(told), flush=True)
"""


class User:
    """A process that has an outbox open, and stores what it is told to."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def store(self, number: int, what: str = "store") -> Any:
        """Store an event; return what was told then."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{what} {number}\n")
        self._process.stdin.flush()
        return self.told()

    def told(self) -> Any:
        """What was told; None of one that was killed."""
        assert self._process.stdout is not None
        return json.loads(self._process.stdout.readline() or "null")


@pytest.fixture
def users(queue_path: Path) -> Iterator[Callable[[int], list[User]]]:
    """Starts processes that have the outbox open."""
    with ExitStack() as at_end:

        def start() -> User:
            process = at_end.enter_context(
                subprocess.Popen(
                    [sys.executable, "-c", USER, str(queue_path)],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    text=True,
                )
            )
            at_end.callback(process.kill)
            user = User(process)
            assert user.told() == []
            return user

        yield lambda count: [start() for _ in range(count)]


def put_backup(queue_path: Path, *, is_log_left: bool = True) -> None:
    """Put a file with the events from 100 on in the place of an outbox."""
    backup = queue_path.with_name("backup.db")
    with closing(open_outbox(backup)) as other:
        other.commit.append(events(5, 100))
    backup.replace(queue_path)
    for each in () if is_log_left else companions(queue_path):
        each.unlink()


def copies(queue_path: Path) -> list[Path]:
    ends = ("-wal", "-shm", "-journal")
    found = queue_path.parent.glob("outbox.db.damaged-*")
    return [each for each in found if not each.name.endswith(ends)]


def in_it(path: Path) -> list[bytes]:
    with closing(open_outbox(path)) as outbox:
        waiting = outbox.waiting.counts().pending
        sent, dead = drain(outbox)
    assert not dead
    assert waiting == len(sent)  # none twice
    return sorted(sent)


@pytest.mark.parametrize("is_log_left", [True, False])
def test_the_first_who_notices_keeps_it_and_the_others_say_where_it_is(
    queue_path: Path, users: Callable[[int], list[User]], *, is_log_left: bool
) -> None:
    three = users(3)
    for number, each in enumerate(three):
        each.store(number)
    put_backup(queue_path, is_log_left=is_log_left)
    told = [each.store(10 + number) for number, each in enumerate(three)]
    (kept,) = copies(queue_path)
    for ((kind, text, hint),) in told:
        assert kind == "ReplacedOutboxError"
        assert kept.name in text
        assert f"segops-durable adopt {shlex.quote(str(kept))}" in hint
    assert in_it(kept) == sorted(events(3))
    assert in_it(queue_path) == sorted([*events(3, 10), *events(5, 100)])


@pytest.mark.parametrize("when", ["end-before", "end-after"])
def test_what_one_who_was_killed_has_begun_to_keep_is_kept_by_the_next(
    queue_path: Path, users: Callable[[int], list[User]], when: str
) -> None:
    first, second, third = users(3)
    first.store(0)
    put_backup(queue_path)
    assert first.store(1, when) is None
    assert [kind for kind, *_ in second.store(2)] == ["ReplacedOutboxError"]
    third.store(3)
    (kept,) = copies(queue_path)
    assert in_it(kept) == events(1)
    assert in_it(queue_path) == sorted([*events(2, 2), *events(5, 100)])


def test_what_was_kept_and_sent_since_is_not_kept_again(
    queue_path: Path, users: Callable[[int], list[User]]
) -> None:
    first, second = users(2)
    first.store(0)
    put_backup(queue_path)
    first.store(1)
    (kept,) = copies(queue_path)
    kept.unlink()
    ((kind, text, _),) = second.store(2)
    assert kind == "ReplacedOutboxError"
    assert "is kept in" not in text
    assert not copies(queue_path)


def test_what_one_has_carried_over_from_a_file_that_was_deleted_no_other_keeps(
    queue_path: Path, users: Callable[[int], list[User]]
) -> None:
    three = users(3)
    for number, each in enumerate(three):
        each.store(number)
    queue_path.unlink()
    told = [each.store(10 + number) for number, each in enumerate(three)]
    assert [kind for ((kind, *_),) in told] == ["ReplacedOutboxError"] * 3
    assert not copies(queue_path)
    assert in_it(queue_path) == sorted([*events(3), *events(3, 10)])


def test_a_damaged_file_that_was_set_aside_and_deleted_since_is_not_kept(
    queue_path: Path, users: Callable[[int], list[User]]
) -> None:
    first, second = users(2)
    first.store(0)
    with closing(open_outbox(queue_path)) as outbox:
        outbox.repair("as if")
    (aside,) = copies(queue_path)
    for each in (aside, *companions(aside)):
        each.unlink(missing_ok=True)
    first.store(1)
    second.store(2)
    assert not copies(queue_path)
    assert in_it(queue_path) == events(3)


def test_others_go_on_in_what_was_moved_for_lost_descriptors_without_a_word(
    queue_path: Path, users: Callable[[int], list[User]]
) -> None:
    first, second, third, fourth = users(4)
    for number, each in enumerate([first, second, third, fourth]):
        each.store(number)
    ((kind, text, _),) = first.store(10, "lose")
    assert kind == "ReplacedOutboxError"
    assert "closed the descriptors" in text
    assert third.store(11) == []
    assert [kind for kind, *_ in third.store(12, "lose")] == ["ReplacedOutboxError"]
    assert fourth.store(13) == []  # it has missed the first move
    assert second.store(14) == []
    assert not copies(queue_path)
    assert in_it(queue_path) == sorted([*events(4), *events(5, 10)])


def test_a_file_that_is_in_use_again_is_kept_again(queue_path: Path) -> None:
    with closing(open_outbox(queue_path)) as outbox:
        write_note(outbox._store._live.current().writer, "kept", "outbox.db.damaged-before")
    with closing(open_outbox(queue_path)) as outbox:
        outbox.commit.append(events(1))
        put_backup(queue_path)
        outbox.commit.append(events(1, 1))
    (kept,) = copies(queue_path)
    assert in_it(kept) == events(1)


def test_it_is_kept_once_also_where_the_other_file_is_refused(queue_path: Path) -> None:
    backup = queue_path.with_name("backup.db")
    Outbox(backup, api_url="https://other.example", key_fingerprint="k").close()
    with closing(open_outbox(queue_path)) as outbox:
        outbox.commit.append(events(1))
        backup.replace(queue_path)
        for _ in range(3):
            with pytest.raises(ConfigurationError):
                outbox.commit.append(events(1, 1))
    (kept,) = copies(queue_path)
    assert in_it(kept) == events(1)


def test_it_is_kept_also_where_no_record_of_it_can_be_read(queue_path: Path) -> None:
    outbox = open_outbox(queue_path)
    outbox.commit.append(events(3))
    spoil(queue_path, "UPDATE meta SET seal = seal + 1")
    put_backup(queue_path)
    outbox.commit.append(events(1, 3))
    assert len(copies(queue_path)) == 1
    outbox.close()


def test_it_is_kept_also_where_another_client_of_the_process_was_closed_before(
    queue_path: Path,
) -> None:
    closed, other = open_outbox(queue_path), open_outbox(queue_path)
    closed.close()  # while another is open: SQLite keeps its descriptor, and gives it to the next
    outbox = open_outbox(queue_path)
    outbox.commit.append(events(3))
    put_backup(queue_path, is_log_left=False)
    outbox.commit.append(events(1, 3))
    (kept,) = copies(queue_path)
    other.commit.append(events(1, 4))
    assert copies(queue_path) == [kept]
    for each in (outbox, other):
        (told,) = [say for say in each.pop_incidents() if isinstance(say, ReplacedOutboxError)]
        assert kept.name in str(told)
        each.close()
    assert in_it(kept) == events(3)
