"""Its worker: Celery's, with processes. A task asks the LLM, stores the answer, and sends the callback, signed."""

import hashlib
import hmac
import json
import os

import httpx
from celery import Celery
from storage import Job, Sessions, engine

celery = Celery("tasks", broker=os.environ["BROKER_URL"])
celery.conf.update(
    task_acks_late=True, worker_prefetch_multiplier=4, task_ignore_result=True, worker_hijack_root_logger=False
)
clients: dict[int, httpx.Client] = {}


def client() -> httpx.Client:
    """This process's: connections and sessions of the parent are not its own."""
    if os.getpid() not in clients:
        engine.dispose(close=False)
        clients[os.getpid()] = httpx.Client(timeout=30)
    return clients[os.getpid()]


@celery.task(autoretry_for=(httpx.HTTPError,), max_retries=5, retry_backoff=True)
def answer(job_id: str) -> None:
    http = client()
    with Sessions() as database:
        job = database.get(Job, job_id)
        if job.response is None:
            asked = {"model": os.environ["LLM_MODEL"], "messages": [{"role": "user", "content": job.message}]}
            replied = http.post(os.environ["LLM_URL"], json=asked)
            replied.raise_for_status()
            job.response = replied.json()["choices"][0]["message"]["content"]
            job.status = "completed"
            database.commit()
        body = json.dumps(
            {"job_id": job.id, "response": job.response, "metadata": job.metadata_}, separators=(",", ":")
        )
        signature = hmac.new(b"secret", body.encode(), hashlib.sha256).hexdigest()
        headers = {"content-type": "application/json", "x-signature": f"sha256={signature}"}
        http.post(job.callback_url, content=body, headers=headers).raise_for_status()
        job.status = "delivered"
        database.commit()
