"""All commands, in the order in which help lists them."""

from __future__ import annotations

from segops_durable.cli.command import Commands, run
from segops_durable.cli.commands.adopt import adopt
from segops_durable.cli.commands.config import config
from segops_durable.cli.commands.consume import consume
from segops_durable.cli.commands.dead import dead
from segops_durable.cli.commands.demo import demo
from segops_durable.cli.commands.doctor import doctor
from segops_durable.cli.commands.drain import drain
from segops_durable.cli.commands.explain import explain
from segops_durable.cli.commands.import_ import import_
from segops_durable.cli.commands.peek import peek
from segops_durable.cli.commands.relay import relay
from segops_durable.cli.commands.run_ import run_alone
from segops_durable.cli.commands.sandbox import sandbox
from segops_durable.cli.commands.sign import sign
from segops_durable.cli.commands.status import status
from segops_durable.cli.commands.track import identify, track
from segops_durable.cli.commands.transfer import export, load

dead.add_command(explain)
for _command in (
    track,
    identify,
    status,
    drain,
    peek,
    dead,
    export,
    load,
    adopt,
    import_,
    consume,
    doctor,
    config,
    sign,
    run_alone,
    relay,
    sandbox,
    demo,
):
    run.add_command(_command)

__all__ = ["Commands", "run"]
