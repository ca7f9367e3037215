"""The obvious home-made design: a session a request, a task a job."""

from typing import Annotated

from fastapi import Depends, FastAPI
from pydantic import BaseModel
from sqlalchemy.orm import Session
from storage import Job, Sessions, create_tables
from tasks import answer

app = FastAPI()
create_tables()


class Message(BaseModel):
    message: str
    callback_url: str
    session_id: str | None = None
    metadata: dict[str, str] = {}


def session():
    with Sessions() as opened:
        yield opened


@app.get("/healthz")
def healthz() -> dict[str, str]:
    return {"status": "ok"}


@app.post("/webhook", status_code=202)
def webhook(message: Message, database: Annotated[Session, Depends(session)]) -> dict[str, str]:
    job = Job(**message.model_dump())
    database.add(job)
    database.commit()
    answer.delay(job.id)
    return {"job_id": job.id, "status": "queued"}
