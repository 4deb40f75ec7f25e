"""SQLAlchemy: an event is tracked when the transaction of its session has been committed."""

from __future__ import annotations

import sys
from typing import Any

from sqlalchemy import create_engine, event
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

from segops_durable import SegOpsClient

client = SegOpsClient.from_env()


def track_on_commit(session: Session, **fields: Any) -> None:
    """Track an event once the session has committed; a rollback forgets it."""
    session.info.setdefault("events", []).append(fields)


@event.listens_for(Session, "after_commit")
def _track(session: Session) -> None:
    client.track_many(session.info.pop("events", []))


@event.listens_for(Session, "after_rollback")
def _forget(session: Session) -> None:
    session.info.pop("events", None)


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
