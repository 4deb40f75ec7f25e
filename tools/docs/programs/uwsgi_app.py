"""An application that uWSGI forks: ``uwsgi --master --enable-threads --module uwsgi_app:app``."""

from __future__ import annotations

from flask import Flask
from uwsgidecorators import postfork

from segops_durable import SegOpsClient

app = Flask(__name__)


@postfork
def open_client() -> None:
    """Make a client in each worker: uWSGI forks past Python, and one made before is refused."""
    app.extensions["segops"] = SegOpsClient.from_env()


@app.post("/buy/<article>")
def buy(article: str) -> dict[str, str]:
    """Sell an article; the event is on disk when the customer has the answer."""
    client: SegOpsClient = app.extensions["segops"]
    client.track(user_id="user-123", event_type="order_placed", payload={"article": article})
    return {"bought": article}
