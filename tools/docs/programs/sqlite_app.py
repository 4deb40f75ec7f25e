"""A shop whose database is SQLite: an order and its event are committed together, or neither."""

from __future__ import annotations

import sqlite3
import sys

from segops_durable import SegOpsClient, outbox_in

database = sqlite3.connect("shop.db")
database.execute("CREATE TABLE IF NOT EXISTS orders (id INTEGER PRIMARY KEY, article TEXT)")
events = outbox_in(database)
client = SegOpsClient.from_env()


def buy(article: str) -> None:
    """Sell an article."""
    with database:
        row = database.execute("INSERT INTO orders (article) VALUES (?)", (article,))
        payload = {"order": row.lastrowid, "article": article}
        events.track(user_id="user-123", event_type="order_placed", payload=payload)
        if article == "nothing":
            raise ValueError("there is no such article")
    events.move_to(client)


for each in sys.argv[1:]:
    buy(each)
