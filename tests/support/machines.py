"""Machines as their ``/etc``, ``/sys`` and ``/proc`` show them, below a directory."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


class FakeMachine:
    """Writes what a machine says of itself; `records.machine.root` reads it."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.write("proc/self/mounts", "/dev/root / ext4 rw 0 0\n")

    def write(self, path: str, text: str) -> None:
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)

    def machine_id(self, text: str) -> FakeMachine:
        self.write("etc/machine-id", f"{text}\n")
        return self

    def serial(self, text: str) -> FakeMachine:
        self.write("sys/firmware/devicetree/base/serial-number", f"{text}\0")
        return self

    def interface(
        self, name: str, address: str, *, kind: int = 0, is_physical: bool = True
    ) -> FakeMachine:
        self.write(f"sys/class/net/{name}/address", f"{address}\n")
        self.write(f"sys/class/net/{name}/addr_assign_type", f"{kind}\n")
        if is_physical:
            self.write(f"sys/class/net/{name}/device/uevent", "")
        return self

    def card(self, name: str, cid: str, kind: str) -> FakeMachine:
        self.write(f"sys/block/{name}/device/cid", f"{cid}\n")
        self.write(f"sys/block/{name}/device/type", f"{kind}\n")
        return self
