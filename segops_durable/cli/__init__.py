"""The command line: ``segops-durable COMMAND``."""

from __future__ import annotations

from segops_durable.cli.command import Commands, run
from segops_durable.cli.deliver import drain
from segops_durable.cli.doctor import doctor
from segops_durable.cli.files import export, import_, load
from segops_durable.cli.letters import dead
from segops_durable.cli.look import config, peek, status
from segops_durable.cli.store import identify, track
from segops_durable.cli.workbench import demo, sandbox, sign

for command in (
    track,
    identify,
    status,
    drain,
    peek,
    dead,
    export,
    load,
    import_,
    doctor,
    config,
    sign,
    sandbox,
    demo,
):
    run.add_command(command)

__all__ = ["Commands", "run"]
