"""SQLAlchemy: an event is tracked when the transaction of its session has been committed."""

from __future__ import annotations

import sys
from typing import Any
from weakref import WeakKeyDictionary

from sqlalchemy import create_engine, event
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, SessionTransaction, mapped_column

from segops_durable import SegOpsClient

client = SegOpsClient.from_env()
waiting: WeakKeyDictionary[SessionTransaction, list[dict[str, Any]]] = WeakKeyDictionary()


def track_on_commit(session: Session, **fields: Any) -> None:
    """Track an event once the session's transaction has committed, and its savepoint before it."""
    transaction = session.get_nested_transaction() or session.get_transaction() or session.begin()
    waiting.setdefault(transaction, []).append(fields)


@event.listens_for(Session, "after_commit")
def _track(session: Session) -> None:
    # also called for a savepoint; of what is rolled back or closed, events go with its transaction
    transaction = session.get_nested_transaction() or session.get_transaction()
    if transaction is not None and (events := waiting.pop(transaction, [])):
        if transaction.nested and transaction.parent is not None:
            waiting.setdefault(transaction.parent, []).extend(events)
        else:
            client.track_many(events)


class Base(DeclarativeBase):
    """What the tables have in common."""


class Order(Base):
    """One article that was sold."""

    __tablename__ = "orders"
    id: Mapped[int] = mapped_column(primary_key=True)
    article: Mapped[str]


engine = create_engine("sqlite:///shop.db")
Base.metadata.create_all(engine)


def buy(article: str) -> None:
    """Sell an article."""
    with Session(engine) as session, session.begin():
        session.add(Order(article=article))
        payload = {"article": article}
        track_on_commit(session, user_id="user-123", event_type="order_placed", payload=payload)
        if article == "nothing":
            raise ValueError("there is no such article")


for each in sys.argv[1:]:
    buy(each)
