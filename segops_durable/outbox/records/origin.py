"""Which file an outbox is, and of which machine: noted in it, so that a copy knows itself.

Copies share everything: the outbox's UUID, from which batches get their keys, and the
anonymous id of the device's visitor. So each time a file is opened, what it says of itself is
compared with what it is:

- Another machine (`machine` has the facts): it is a copy, and its visitors are others.
- The same machine, but another inode: it was copied, or restored from a backup. Inodes are
  compared only on file systems that keep them: FAT and many of FUSE number anew at each mount.
- The same inode on another device within one boot: likewise. Between boots devices are
  numbered anew, and so are those without a disk (btrfs, overlay) at each mount.

What cannot be seen so: a file that was overwritten in place by an older state of itself, an
inode that was freed and given to the copy, a snapshot of btrfs after a reboot. Their keys
depend on the content, and what they export is told apart by `generations`.

A note that is damaged (it is sealed as all are), or not there, says nothing: it is written anew.
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
from dataclasses import asdict, dataclass, field, replace
from enum import Enum
from typing import TYPE_CHECKING

from segops_durable.outbox.disk.files import filesystem_of
from segops_durable.outbox.records.machine import Facts, read_facts
from segops_durable.system.clock import Clock

if TYPE_CHECKING:
    from pathlib import Path

_KEEP_INODES = {
    "",  # where nothing says what it is: not on Linux, whose other systems keep them
    "apfs",
    "bcachefs",
    "btrfs",
    "ext2",
    "ext3",
    "ext4",
    "f2fs",
    "jffs2",
    "jfs",
    "nilfs2",
    "overlay",
    "reiserfs",
    "tmpfs",
    "ubifs",
    "xfs",
    "zfs",
}


class Copied(Enum):
    """How a file came to be another than it says."""

    ON_THIS_MACHINE = "copied or restored on this machine"
    FROM_ANOTHER_MACHINE = "copied from another machine"


@dataclass(frozen=True)
class Origin:
    """Which file an outbox is, and of which machine.

    Attributes:
        salt: What values are hashed with, so that they cannot be looked up.
        inode: The file's; None where it does not tell files apart, or is not known.
        device: The file's, likewise.
        boot: In which that was.
        facts: Hashes of what is known of the machine, by name.
    """

    salt: str
    inode: int | None = None
    device: int | None = None
    boot: int | None = None
    facts: dict[str, list[str]] = field(default_factory=dict)

    def as_text(self) -> str:
        """As it is written down."""
        return json.dumps(asdict(self), sort_keys=True)

    def without_file(self) -> Origin:
        """The same machine, whatever file: for one that was made of what another held."""
        return replace(self, inode=None, device=None, boot=None)


def origin_from(text: str | None) -> Origin | None:
    """Read what `Origin.as_text` wrote; None if nothing did, or another version."""
    try:
        found = Origin(**json.loads(text or ""))
    except (ValueError, TypeError):
        return None
    return found if _is_possible(found) else None


def origin_of(path: Path, salt: str | None = None) -> Origin:
    """Which file is at a path, and which machine this is."""
    salt = salt or secrets.token_hex(8)
    found = path.stat()
    keeps_inodes = filesystem_of(path) in _KEEP_INODES
    return Origin(
        salt,
        found.st_ino if keeps_inodes and found.st_ino else None,
        found.st_dev if _is_disk(found.st_dev) else None,
        Clock().moment().boot,
        _hashed(read_facts(path), salt),
    )


def compared(known: Origin, now: Origin) -> Copied | None:
    """How the file came to be another than it says; None if it is the one that it was."""
    for name in known.facts.keys() & now.facts.keys():
        if not set(known.facts[name]) & set(now.facts[name]):
            return Copied.FROM_ANOTHER_MACHINE
    if _differ(known.inode, now.inode):
        return Copied.ON_THIS_MACHINE
    if known.boot == now.boot and _differ(known.device, now.device):
        return Copied.ON_THIS_MACHINE
    return None


def merged(known: Origin, now: Origin) -> Origin:
    """What is known of the same machine after both readings."""
    facts = {
        name: sorted({*known.facts.get(name, ()), *now.facts.get(name, ())})
        for name in sorted(known.facts.keys() | now.facts.keys())
    }
    return replace(now, facts=facts)


def _is_possible(found: Origin) -> bool:
    numbers: tuple[object, ...] = (found.inode, found.device, found.boot)
    salt: object = found.salt
    facts: object = found.facts
    return (
        isinstance(salt, str)
        and all(each is None or isinstance(each, int) for each in numbers)
        and isinstance(facts, dict)
        and all(isinstance(values, list) for values in facts.values())
        and all(isinstance(each, str) for values in facts.values() for each in values)
    )


def _differ(one: int | None, other: int | None) -> bool:
    return one is not None and other is not None and one != other


def _is_disk(device: int) -> bool:
    major = getattr(os, "major", None)  # there is none on Windows
    return major is None or major(device) != 0


def _hashed(facts: Facts, salt: str) -> dict[str, list[str]]:
    return {
        name: sorted(
            hashlib.sha256(f"{salt}\0{name}\0{value}".encode()).hexdigest()[:32] for value in values
        )
        for name, values in sorted(facts.items())
    }
