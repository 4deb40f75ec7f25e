"""Tasks that track: ``celery --app celery_app worker``, with a broker in ``celeryconfig.py``."""

from __future__ import annotations

from typing import Any

from celery import Celery, Task
from celery.signals import beat_init, worker_process_shutdown

from segops_durable import SegOpsClient

app = Celery("celery_app")
app.config_from_object("celeryconfig")
segops = SegOpsClient.from_env()


@app.task(bind=True, acks_late=True, reject_on_worker_lost=True)
def ship(self: Task, order: str) -> None:
    """Ship an order. If its worker dies before it acknowledges the task, the task is run again."""
    # so the event may be tracked twice, and the id of the task tells that it is the same one
    payload = {"order": order, "task": self.request.id}
    segops.track(user_id="user-123", event_type="order_shipped", payload=payload)


@worker_process_shutdown.connect
def finish(**_: Any) -> None:
    """Make a last effort: a process of the pool ends without what Python does at an exit."""
    segops.shutdown()


@beat_init.connect
def say_that_beat_is_up(**_: Any) -> None:
    """Track from the process that keeps the timetable, too."""
    segops.track(user_id="beat", event_type="beat_started")
