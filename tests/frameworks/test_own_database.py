"""The programs that tie an event to a transaction of the application's own database."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from segops_durable.sandbox import Sandbox
    from support.programs import Programs

pytestmark = [pytest.mark.long, pytest.mark.one_python]


@pytest.mark.parametrize("program", ["sqlite_app.py", "sqlalchemy_app.py"])
def test_an_order_that_was_committed_is_tracked_and_no_other(
    sandbox: Sandbox, programs: Programs, program: str
) -> None:
    for article in ("a", "nothing", "b"):
        with programs.started("python", program, article) as process:
            assert process.wait(60) == (article == "nothing"), programs.log
    with programs.started("segops-durable", "drain") as drain:
        assert drain.wait(60) == 0
    articles = [row["event"]["payload"]["article"] for row in sandbox.events()]
    assert sorted(articles) == ["a", "b"]
    with closing(sqlite3.connect(programs.home / "shop.db")) as database:
        assert database.execute("SELECT article FROM orders").fetchall() == [("a",), ("b",)]


SAVEPOINTS = """
from sqlalchemy.orm import Session
from sqlalchemy_app import client, engine, track_on_commit

def track(article):
    payload = {"article": article}
    track_on_commit(session, user_id="u", event_type="order_placed", payload=payload)

with Session(engine) as session:
    with session.begin():
        track("a")
        with session.begin_nested():
            track("b")
            with session.begin_nested() as savepoint:
                track("undone")
                savepoint.rollback()
            session.connection()
        assert client.stats().pending == 0
    assert client.stats().accepted_total + client.stats().pending == 2
    with session.begin_nested():
        track("undone with all")
    session.rollback()
    track("closed")
    session.close()
    track("c")
    session.commit()
"""


def test_savepoints_and_sessions_that_are_closed_are_kept_to(
    sandbox: Sandbox, programs: Programs
) -> None:
    with programs.started("python", "-c", SAVEPOINTS) as process:
        assert process.wait(60) == 0, programs.log
    with programs.started("segops-durable", "drain") as drain:
        assert drain.wait(60) == 0
    articles = [row["event"]["payload"]["article"] for row in sandbox.events()]
    assert sorted(articles) == ["a", "b", "c"]
