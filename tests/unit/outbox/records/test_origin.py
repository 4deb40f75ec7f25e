"""Which readings of a machine and of a file are of the same, and what is left out of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from segops_durable.outbox.records import machine, origin
from segops_durable.outbox.records.origin import Copied, Origin, compared, merged, origin_from
from support.machines import FakeMachine

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

ID = "3d1219c7c4c5404aaa1f6d2a48adfda4"
SERIAL = "100000003d1219c7"
MAC = "dc:a6:32:01:02:03"
OTHER_MAC = "dc:a6:32:0a:0b:0c"


@pytest.fixture
def read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., dict[str, set[str]]]:
    """Reads the facts of a machine that was described."""
    count = 0

    def read_facts(*describe: Callable[[FakeMachine], object]) -> dict[str, set[str]]:
        nonlocal count
        count += 1
        fake = FakeMachine(tmp_path / str(count))
        for each in describe:
            each(fake)
        monkeypatch.setattr(machine, "root", fake.root)
        return {
            name: set(values)
            for name, values in machine.read_facts(fake.root / "outbox.db").items()
        }

    return read_facts


def test_what_a_machine_says_of_itself_is_read(
    read: Callable[..., dict[str, set[str]]],
) -> None:
    facts = read(
        lambda m: m.machine_id(ID),
        lambda m: m.serial(SERIAL),
        lambda m: m.interface("eth0", MAC),
        lambda m: m.interface("wlan0", OTHER_MAC),
        lambda m: m.card("mmcblk0", "1b534d", "SD"),
        lambda m: m.write("sys/class/dmi/id/product_uuid", "a-uuid-1234\n"),
    )
    assert facts == {
        "machine-id": {ID},
        "serial": {SERIAL},
        "network": {MAC, OTHER_MAC},
        "card": {"1b534d"},
        "product": {"a-uuid-1234"},
    }


def test_containers_of_one_image_are_told_apart_by_their_layers(
    read: Callable[..., dict[str, set[str]]],
) -> None:
    line = "overlay / overlay rw,lowerdir=/l/a:/l/b,upperdir=/l/{}/diff,workdir=/l/w 0 0\n"
    facts = [
        read(lambda m, name=name: m.write("proc/self/mounts", line.format(name)))
        for name in ("c1", "c2")
    ]
    assert facts == [{"layer": {f"upperdir=/l/{name}/diff"}} for name in ("c1", "c2")]


NOTHING: dict[str, Callable[[FakeMachine], object]] = {
    "nothing at all": lambda _: None,
    "an empty id": lambda m: m.machine_id(""),
    "an id before the first boot": lambda m: m.machine_id("uninitialized"),
    "zeros": lambda m: m.serial("0000000000000000"),
    "a placeholder": lambda m: m.serial("To be filled by O.E.M."),
    "a bridge": lambda m: m.interface("br0", MAC, is_physical=False),
    "an address drawn at random": lambda m: m.interface("eth0", MAC, kind=1),
    "an address that somebody set": lambda m: m.interface("wlan0", MAC, kind=3),
    "no address": lambda m: m.interface("eth0", "00:00:00:00:00:00"),
    "a board's own random address": lambda m: m.serial("none").interface(
        "eth0", "02:a6:32:01:02:03"
    ),
    "an SD card of a laptop": lambda m: m.card("mmcblk0", "1b534d", "SD"),
    "an id in Docker": lambda m: m.machine_id(ID).write(".dockerenv", ""),
    "an id in Podman": lambda m: m.machine_id(ID).write("run/.containerenv", ""),
    "an id of this boot": lambda m: m.machine_id(ID).write(
        "proc/self/mounts", f"/dev/root / ext4 rw 0 0\ntmpfs {m.root}/etc/machine-id tmpfs rw 0 0\n"
    ),
}


@pytest.mark.parametrize("what", NOTHING)
def test_what_changes_by_itself_or_tells_nothing_is_left_out(
    read: Callable[..., dict[str, set[str]]], what: str
) -> None:
    assert read(NOTHING[what]) == {}


def known(**changes: object) -> Origin:
    ours = {"inode": 7, "device": 2049, "boot": 1, "facts": {"serial": ["s"], "network": ["a"]}}
    return Origin("salt", **{**ours, **changes})  # type: ignore[arg-type]  # as the tests say


@pytest.mark.parametrize(
    "now",
    [
        {},
        {"boot": 2, "device": 2050},  # numbered anew
        {"device": None, "boot": 1},  # no disk
        {"inode": None},  # no inodes that are kept
        {"facts": {}},  # another user, who may not read them
        {"facts": {"serial": ["s"], "network": ["a", "b"]}},  # a second card
        {"facts": {"serial": ["s"]}},  # an interface that is not up
        {"facts": {"product": ["p"], "serial": ["s"]}},  # root, who may read more
    ],
)
def test_the_same_file_on_the_same_machine_is_no_copy(now: dict[str, object]) -> None:
    assert compared(known(), known(**now)) is None


@pytest.mark.parametrize(
    ("now", "how"),
    [
        ({"inode": 8}, Copied.ON_THIS_MACHINE),
        ({"device": 2050}, Copied.ON_THIS_MACHINE),
        ({"inode": 8, "boot": 2}, Copied.ON_THIS_MACHINE),
        ({"facts": {"serial": ["t"], "network": ["a"]}}, Copied.FROM_ANOTHER_MACHINE),
        ({"facts": {"serial": ["s"], "network": ["b"]}}, Copied.FROM_ANOTHER_MACHINE),
        ({"inode": 8, "facts": {"network": ["b", "c"]}}, Copied.FROM_ANOTHER_MACHINE),
    ],
)
def test_a_copy_is_noticed(now: dict[str, object], how: Copied) -> None:
    assert compared(known(), known(**now)) is how


def test_what_is_known_of_a_machine_only_grows() -> None:
    both = merged(known(facts={"network": ["a"]}), known(facts={"network": ["b"], "x": ["y"]}))
    assert both.facts == {"network": ["a", "b"], "x": ["y"]}


def test_a_note_is_read_as_it_was_written() -> None:
    assert origin_from(known().as_text()) == known()


@pytest.mark.parametrize(
    "junk",
    [
        None,
        "",
        "{",
        "7",
        "{}",
        known(inode="7").as_text(),
        known(facts=[]).as_text(),
        known(facts={"serial": "s"}).as_text(),
        known(facts={"serial": [7]}).as_text(),
        known().as_text()[:-1],
    ],
)
def test_a_note_of_no_use_says_nothing(junk: str | None) -> None:
    assert origin_from(junk) is None


def test_values_cannot_be_looked_up_in_a_note(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake = FakeMachine(tmp_path / "m").machine_id(ID).interface("eth0", MAC)
    monkeypatch.setattr(machine, "root", fake.root)
    one, other = origin.origin_of(tmp_path), origin.origin_of(tmp_path)
    assert ID not in one.as_text()
    assert MAC not in one.as_text()
    assert one.facts != other.facts, "each outbox has a salt of its own"
    assert origin.origin_of(tmp_path, one.salt) == one
