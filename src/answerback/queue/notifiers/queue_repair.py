"""A quorum queue that answers nobody is made anew.

RabbitMQ that is killed soon after it made or opened a quorum queue may come back with the queue's name and without its
Raft member. Declaring the queue still succeeds; consuming from it is never answered, or ends the connection with
541 INTERNAL_ERROR, until somebody deletes it. Notifier are disposable, so the worker does.
"""

import random
import time
from collections.abc import Callable

from amqp.exceptions import InternalError
from celery import Celery
from kombu import Connection

from answerback.kernel.log import Log
from answerback.queue.notifiers.celery_broker import QUEUE

SECOND_LOOK_SECONDS = 2.0
"""Workers that find it broken together look again at different moments: who comes later finds it mended."""


def ensure_answering(app: Celery, connect: Callable[[], Connection], log: Log) -> None:
    """Makes the queue where it is missing, and replaces one that is broken.

    `connect` opens a connection whose reads end in time: one with heartbeats would wait for a reply as long as the
    broker's heartbeats come. Raises what kombu raises when the broker cannot be reached.
    """
    if _answers(app, connect):
        return
    time.sleep(random.uniform(0.0, SECOND_LOOK_SECONDS))
    if not _answers(app, connect):
        _delete(connect)
        log.warning("queue_replaced", queue=QUEUE, note="RabbitMQ came back without its contents; no job is lost")


def _answers(app: Celery, connect: Callable[[], Connection]) -> bool:
    connection = connect()
    try:
        queue = app.amqp.queues[QUEUE](connection.default_channel)
        queue.declare()
        queue.channel.basic_qos(0, 1, a_global=False)
        queue.consume("probe", callback=_leave)
    except (TimeoutError, InternalError):
        # Saying goodbye would wait for the same reply.
        connection.collect(socket_timeout=0.1)
        return False
    except BaseException:
        connection.collect(socket_timeout=0.1)
        raise
    connection.release()
    return True


def _leave(message: object) -> None:
    """What comes while the probe is subscribed returns to the queue when its connection closes."""


def _delete(connect: Callable[[], Connection]) -> None:
    connection = connect()
    try:
        connection.default_channel.queue_delete(QUEUE)
    except (TimeoutError, InternalError):
        # It waits for a member that is not there; the queue is gone all the same.
        pass
    finally:
        connection.collect(socket_timeout=0.1)
