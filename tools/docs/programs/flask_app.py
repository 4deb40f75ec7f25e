"""A Flask application: ``flask --app flask_app run``."""

from __future__ import annotations

import os

from flask import Flask

from segops_durable import SegOpsClient

app = Flask(__name__)
segops = SegOpsClient.from_env()


@app.post("/buy/<article>")
def buy(article: str) -> dict[str, str]:
    """Sell an article; the event is on disk when the customer has the answer."""
    segops.track(user_id="user-123", event_type="order_placed", payload={"article": article})
    return {"bought": article}


@app.get("/worker")
def worker() -> dict[str, int]:
    """Say which process answers."""
    return {"pid": os.getpid()}
