"""The one table."""

import os
import uuid

from sqlalchemy import JSON, String, create_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, sessionmaker

engine = create_engine(os.environ["DATABASE_URL"], pool_size=20, max_overflow=20)
Sessions = sessionmaker(engine, expire_on_commit=False)


class Base(DeclarativeBase):
    pass


class Job(Base):
    __tablename__ = "jobs"

    id: Mapped[str] = mapped_column(String, primary_key=True, default=lambda: uuid.uuid4().hex)
    status: Mapped[str] = mapped_column(String, default="queued")
    message: Mapped[str]
    callback_url: Mapped[str]
    session_id: Mapped[str | None]
    metadata_: Mapped[dict] = mapped_column("metadata", JSON, default=dict)
    response: Mapped[str | None]

    def __init__(self, metadata=None, **fields):
        super().__init__(metadata_=metadata or {}, **fields)


def create_tables() -> None:
    Base.metadata.create_all(engine)
