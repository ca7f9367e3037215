"""What is usually done instead: the job is the broker's message, `acks_late`, on Redis. For comparison only.

A message that a dead worker had taken becomes visible again after five seconds instead of an hour, and is looked for
every five seconds instead of every hundred, so that Celery redelivers all that it can while the scenario still waits;
a task that is missing then is lost.
"""

import os
import sys
import time

from celery import Celery
from redis import Redis

LLM_SECONDS = 0.05
VISIBLE_AGAIN_SECONDS = 5
QUEUE = "plain"
DONE = "done"
NAME = "plain.answer"

app = Celery("plain", broker=os.environ.get("PLAIN_REDIS_URL", "redis://127.0.0.1"))
app.conf.update(
    task_acks_late=True,
    task_reject_on_worker_lost=True,
    task_ignore_result=True,
    task_default_queue=QUEUE,
    broker_transport_options={"visibility_timeout": VISIBLE_AGAIN_SECONDS, "unacked_restore_interval": 0.5},
    broker_connection_retry_on_startup=True,
)


def answer(number: int) -> None:
    """Asks the LLM, for as long as one takes, and keeps the answer."""
    time.sleep(LLM_SECONDS)
    with Redis.from_url(app.conf.broker_url) as redis:
        redis.sadd(DONE, number)


app.task(answer, name=NAME)


if __name__ == "__main__":
    with app.connection_for_write() as connection, app.amqp.Producer(connection) as producer:
        for task in range(int(sys.argv[1])):
            app.send_task(NAME, (task,), producer=producer)
