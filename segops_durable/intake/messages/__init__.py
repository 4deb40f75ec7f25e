"""Events of messages: of a log such as Kafka's, where each has an offset in its partition.

This room knows of no broker, and is entered by its name. `message` is what one has; `columns` says
what of it a field map may name; `making` makes events of many; `rejected` writes down what is none.
"""

from __future__ import annotations

from segops_durable.intake.messages.columns import check_columns
from segops_durable.intake.messages.making import Made, Maker
from segops_durable.intake.messages.message import Bad, Message
from segops_durable.intake.messages.rejected import Rejected

__all__ = ["Bad", "Made", "Maker", "Message", "Rejected", "check_columns"]
