"""The broker between processes, as Celery and kombu reach it: one queue of notifier, each of them disposable."""

import socket
from typing import Any
from urllib.parse import urlsplit

from celery import Celery
from kombu import Connection, Producer, Queue
from kombu.exceptions import KombuError

from answerback.queue.notifiers.local import Kind
from answerback.queue.notifiers.publisher import BrokerUnavailable

QUEUE = "answerback"
MAX_MESSAGES = 1000
"""The longest that the queue becomes while no worker takes from it; the oldest go first."""
MESSAGE_SECONDS = 60
THREADS = 4
"""Enough to take thousands of messages a second; a full pool's back-pressure holds as many, and no more, unread."""

BLOCK_SECONDS = 5.0
"""The longest that a call of the broker blocks; longer than any live one takes."""
CHECK_SECONDS = 10
"""How often a silent connection is probed; a dead one is noticed after two to three."""

# By the kernel: whoever has nothing to send would not notice. Not every system lets one set how soon.
KEEPALIVE = {
    getattr(socket, name): value
    for name, value in (("TCP_KEEPIDLE", CHECK_SECONDS), ("TCP_KEEPINTVL", CHECK_SECONDS // 2), ("TCP_KEEPCNT", 2))
    if hasattr(socket, name)
}
REDIS_OPTIONS = {
    "socket_timeout": BLOCK_SECONDS,
    "socket_connect_timeout": BLOCK_SECONDS,
    "socket_keepalive": True,
    "socket_keepalive_options": KEEPALIVE,
    "health_check_interval": CHECK_SECONDS,
    # Notifier need no record of who holds them.
    "ack_emulation": False,
}
RABBITMQ_OPTIONS = {"read_timeout": BLOCK_SECONDS, "write_timeout": BLOCK_SECONDS, "socket_settings": KEEPALIVE}
RABBITMQ_PUBLISHING = {"confirm_publish": True}


def task_of(kind: Kind) -> str:
    """The name under which Celery, and Flower, know it."""
    return f"answerback.{kind.value}"


def place_of(broker_url: str) -> str:
    """Which server it is, without its user and password."""
    return urlsplit(broker_url).netloc.rpartition("@")[2]


def configure(app: Celery, broker_url: str) -> None:
    """Sets what both sides must agree on, and how the worker's side reconnects."""
    redis = urlsplit(broker_url).scheme.startswith("redis")
    arguments = {} if redis else _rabbitmq_arguments()
    app.conf.update(
        broker_url=broker_url,
        broker_transport_options=REDIS_OPTIONS if redis else RABBITMQ_OPTIONS,
        broker_connection_timeout=BLOCK_SECONDS,
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,
        # RabbitMQ answers a consumer that is early after a restart with a channel's error.
        broker_channel_error_retry=True,
        broker_heartbeat=CHECK_SECONDS,
        task_queues=[Queue(QUEUE, routing_key=QUEUE, queue_arguments=arguments)],
        task_default_queue=QUEUE,
        task_ignore_result=True,
        worker_pool="threads",
        worker_concurrency=THREADS,
        worker_prefetch_multiplier=1,
        worker_enable_prefetch_count_reduction=False,
        worker_cancel_long_running_tasks_on_connection_loss=False,
        worker_hijack_root_logger=False,
        worker_redirect_stdouts=False,
    )


def _rabbitmq_arguments() -> dict[str, Any]:
    return {"x-queue-type": "quorum", "x-max-length": MAX_MESSAGES, "x-message-ttl": MESSAGE_SECONDS * 1000}


class CeleryBroker:
    """Implements `Broker` with a connection of its own."""

    def __init__(self, broker_url: str) -> None:
        self._app = Celery("answerback", set_as_current=False)
        configure(self._app, broker_url)
        self._place = place_of(broker_url)
        self._redis = urlsplit(broker_url).scheme.startswith("redis")
        self._connection: Connection | None = None
        self._producer: Producer | None = None

    def send(self, kind: Kind, messages: int) -> None:
        connection = self._connection or self._open()
        try:
            producer = self._producer = self._producer or Producer(connection)
            for _ in range(messages):
                self._app.send_task(task_of(kind), producer=producer, retry=False, confirm_timeout=BLOCK_SECONDS)
            if self._redis:
                # Redis has no bound of its own: new messages enter on the left.
                producer.channel.client.ltrim(QUEUE, 0, MAX_MESSAGES - 1)
        except Exception as error:
            # Whatever failed once is not used again.
            self._connection = self._producer = None
            connection.collect(socket_timeout=0.1)
            expected = (OSError, KombuError, *connection.connection_errors, *connection.channel_errors)
            if not isinstance(error, expected):
                raise
            raise BrokerUnavailable(f"{type(error.__cause__ or error).__name__} at {self._place}") from error

    def close(self) -> None:
        connection, self._connection, self._producer = self._connection, None, None
        if connection is not None:
            connection.release()

    def _open(self) -> Connection:
        options = {} if self._redis else RABBITMQ_PUBLISHING
        self._connection = self._app.connection_for_write(transport_options=options)
        return self._connection
