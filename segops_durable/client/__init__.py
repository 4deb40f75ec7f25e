"""The client: its options, its life, and its parts put together.

- `client`: how it begins, flushes, says how it stands. Its other calls are in `tracking` (what is
  stored) and `administration` (who uses the device, the key, the dead letters), and what all have
  in common is in `opened`.
- `options`: the one home of the options. `option_kinds` says how their values are checked, by
  `checks`, and read; `environment` reads those that are set there.
- `opening`: what the first client loads, so that importing the package need not.
- `wiring`: where options become parts. `delivery` is those that send, told things together.
- `forks`: what a fork does. `per_process` has a child make a delivery of its own.
- `closing`: how a client ends. `watching`: what a service asks of one. `loop_warning`: that it is
  used where nothing may wait.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from segops_durable.client.checks import check_timeout, checked_path, masked
from segops_durable.client.client import SegOpsClient
from segops_durable.client.loop_warning import BlockedLoopWarning
from segops_durable.client.options import MAX_BATCH_SIZE, Options, Overflow
from segops_durable.client.tracking import CHUNK_ROWS, as_checkpoint
from segops_durable.client.watching import hangs_for, options_of, outbox_of
from segops_durable.system.on_demand import on_demand

if TYPE_CHECKING:
    from segops_durable.client.delivery import Delivery
    from segops_durable.client.environment import (
        REQUIRED,
        check_required,
        environment_settings,
        mistyped_variables,
        options_from_env,
        settings_names,
    )
    from segops_durable.client.wiring import delivery_of, intake_of, open_outbox, users_of
else:
    __getattr__, __dir__ = on_demand(
        __name__,
        {
            "segops_durable.client.delivery": "Delivery",
            "segops_durable.client.environment": "REQUIRED check_required environment_settings "
            "mistyped_variables options_from_env settings_names",
            "segops_durable.client.wiring": "delivery_of intake_of open_outbox users_of",
        },
    )

__all__ = [
    "CHUNK_ROWS",
    "MAX_BATCH_SIZE",
    "REQUIRED",
    "BlockedLoopWarning",
    "Delivery",
    "Options",
    "Overflow",
    "SegOpsClient",
    "as_checkpoint",
    "check_required",
    "check_timeout",
    "checked_path",
    "delivery_of",
    "environment_settings",
    "hangs_for",
    "intake_of",
    "masked",
    "mistyped_variables",
    "open_outbox",
    "options_from_env",
    "options_of",
    "outbox_of",
    "settings_names",
    "users_of",
]
