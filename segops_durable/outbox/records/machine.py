"""Which machine this is, as far as every user may read it, to notice a copied disk image.

A *fact* has a name and a set of values. Two readings are of different machines if a fact that
both know differs: if its values have none in common. One that only one of them knows says
nothing, so that root and other users, a container and its host, agree. What counts:

- `machine-id`: ``/etc/machine-id``; on Windows the MachineGuid. Images often share it, so
  that it is the same proves nothing. Left out where it is made anew at each boot (on a tmpfs,
  as systemd does on a root that cannot be written), and in containers, whose images are built
  anew while their volumes live on.
- `serial`: of the board, from the device tree. Placeholders ("To be filled by O.E.M.", all
  zeros) are left out.
- `product`: the DMI UUID, which as a rule only root may read.
- `card`: the ids of eMMC chips, and on boards with a device tree of SD cards, which they boot
  from. Elsewhere an SD card comes and goes.
- `network`: the permanent addresses of physical interfaces: not those that are drawn at random
  or set by somebody, not bridges, tunnels or a container's. On boards an address that says of
  itself that it is locally administered is left out: some draw one at each boot.

- `layer`: of a file within a container, and not on a volume, the layer of that container:
  what was in an image is copied into each.

False alarms, and what comes of them: a replaced mainboard, an only network card that was
replaced, an SD card that was copied to a new one, a disk that goes to and fro between two
machines, an operating system that was installed anew around a kept outbox. Each is noticed
once, told of, and costs a new anonymous id: the visitors before and after are two. Nothing is
lost, and what waits goes out as it was tracked. A second network card, a USB adapter that is
plugged in, an interface that is not up yet are none: sets are compared, and they only grow.

What goes unnoticed: a clone with the same facts, such as a virtual machine that keeps its
network address; and on macOS every machine, as nothing there can be read
without running a program. Keys depend on the content of a batch all the same.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

from segops_durable.outbox.disk.files import filesystem_of, mount_of

Facts = dict[str, frozenset[str]]

root: Path = Path("/")
"""Where ``etc``, ``sys`` and ``proc`` of the machine are; tests give another directory."""

_MOST_BYTES = 256
_LEAST_LETTERS = 3
_PLACEHOLDERS = re.compile(
    r"to be filled.*|default.*|none|not .*|unknown|uninitialized|serial|system serial number"
    r"|0?123456789.*"
    r"|03000200-0400-0500-0006-000700080009",
    re.IGNORECASE,
)
_IN_CONTAINERS = (".dockerenv", "run/.containerenv", "run/systemd/container")
_PASSING = {"tmpfs", "ramfs"}
_PERMANENT = "0"
_LOCALLY_ADMINISTERED = 0x02


def read_facts(path: Path) -> Facts:
    """What this user can read of the machine, by name; a fact without a value is left out.

    Args:
        path: The outbox, or the directory that it is in.
    """
    found = {
        "machine-id": _machine_id(),
        "serial": _serials(),
        "product": {_read(root / "sys/class/dmi/id/product_uuid")},
        "card": _cards(),
        "network": _addresses(),
        "layer": {_layer(path)},
    }
    facts = {name: frozenset(filter(_is_telling, values)) for name, values in found.items()}
    return {name: values for name, values in facts.items() if values}


def _machine_id() -> set[str]:
    if sys.platform == "win32":  # pragma: no cover - on that system alone
        return {_machine_guid()}
    path = root / "etc/machine-id"
    is_in_container = any((root / each).exists() for each in _IN_CONTAINERS)
    if is_in_container or filesystem_of(path, root / "proc/self/mounts") in _PASSING:
        return set()
    return {_read(path)}


def _serials() -> set[str]:
    places = ("proc/device-tree", "sys/firmware/devicetree/base")
    return {_read(root / place / "serial-number") for place in places}


def _is_board() -> bool:
    return (root / "sys/firmware/devicetree/base").exists()


def _cards() -> set[str]:
    kinds = {"MMC", "SD"} if _is_board() else {"MMC"}
    devices = [each / "device" for each in _listed("sys/block") if each.name.startswith("mmcblk")]
    return {_read(each / "cid") for each in devices if _read(each / "type") in kinds}


def _addresses() -> set[str]:
    found = set()
    for interface in _listed("sys/class/net"):
        is_physical = (interface / "device").exists()
        if is_physical and _read(interface / "addr_assign_type") == _PERMANENT:
            address = _read(interface / "address")
            if not (_is_board() and _is_locally_administered(address)):
                found.add(address)
    return found


def _layer(path: Path) -> str:
    mount = mount_of(path, root / "proc/self/mounts")
    found = [each for each in mount.options.split(",") if each.startswith("upperdir=")]
    return found[0] if mount.kind == "overlay" and found else ""


def _is_locally_administered(address: str) -> bool:
    try:
        return bool(int(address[:2], 16) & _LOCALLY_ADMINISTERED)
    except ValueError:
        return True


def _is_telling(value: str) -> bool:
    letters = set(re.sub(r"[^0-9a-z]", "", value.lower()))
    return len(letters) >= _LEAST_LETTERS and not _PLACEHOLDERS.fullmatch(value)


def _listed(directory: str) -> list[Path]:
    try:
        return sorted((root / directory).iterdir())
    except OSError:
        return []


def _read(path: Path) -> str:
    """What a file of the system says; nothing where it is not there, or not for this user."""
    try:
        with path.open("rb") as file:
            return file.read(_MOST_BYTES).decode("ascii", "replace").strip("\0 \r\n\t")
    except OSError:
        return ""


def _machine_guid() -> str:  # pragma: no cover - on Windows alone
    if sys.platform == "win32":
        import winreg  # noqa: PLC0415 - there is none elsewhere

        key = r"SOFTWARE\Microsoft\Cryptography"
        access = winreg.KEY_READ | winreg.KEY_WOW64_64KEY
        try:
            with winreg.OpenKey(winreg.HKEY_LOCAL_MACHINE, key, 0, access) as opened:
                return str(winreg.QueryValueEx(opened, "MachineGuid")[0])
        except OSError:
            return ""
    return ""
