"""Notifications over a broker, as Celery messages in one queue; each message is disposable."""

import socket
from urllib.parse import urlsplit

from celery import Celery
from kombu import Connection, Producer, Queue
from kombu.exceptions import KombuError

from answerback.queue.notifier import Topic
from answerback.queue.notifiers.remote import TransportUnavailable

QUEUE = "answerback.notifications"
MAX_MESSAGES = 1000
"""The most messages that the queue holds while no worker takes them; the oldest are dropped first."""
MESSAGE_SECONDS = 60
ROWS_PER_MESSAGE = 25
MESSAGES_AT_ONCE = 8
"""A message wakes one worker, which claims as much as it has room for; a burst of rows wakes several."""
THREADS = 4
"""Enough for thousands of messages a second. While the worker pool is full, each holds one message and takes no
other."""

BLOCK_SECONDS = 5.0
"""The longest that a call of the broker blocks; longer than any live one takes."""
CHECK_SECONDS = 10
"""How often an idle connection is probed; a dead one is noticed after two to three probes."""

# Kernel probes find a dead broker while the process has nothing to send. Not every system has all three options.
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
    # A lost message costs latency only: no record of unacknowledged ones is needed.
    "ack_emulation": False,
}
RABBITMQ_OPTIONS = {"read_timeout": BLOCK_SECONDS, "write_timeout": BLOCK_SECONDS, "socket_settings": KEEPALIVE}
RABBITMQ_PUBLISHING = {"confirm_publish": True}


# Classic, since a message is not worth replicating. The queue is durable, so that it is there again when the broker has
# restarted, and because RabbitMQ deprecates transient queues that connections share; the messages are transient.
RABBITMQ_QUEUE = {"x-queue-type": "classic", "x-max-length": MAX_MESSAGES, "x-message-ttl": MESSAGE_SECONDS * 1000}


def task_name(topic: Topic) -> str:
    """The name of the task in Celery and Flower."""
    return f"answerback.{topic.value}"


def host_of(broker_url: str) -> str:
    """The server's host and port, without user and password."""
    return urlsplit(broker_url).netloc.rpartition("@")[2]


def configure(app: Celery, broker_url: str) -> None:
    """Sets what senders and workers must agree on, and how workers reconnect."""
    redis = _is_redis(broker_url)
    app.conf.update(
        broker_url=broker_url,
        broker_transport_options=REDIS_OPTIONS if redis else RABBITMQ_OPTIONS,
        broker_connection_timeout=BLOCK_SECONDS,
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,
        # RabbitMQ closes the channel of a consumer that subscribes too early after a restart.
        broker_channel_error_retry=True,
        broker_heartbeat=CHECK_SECONDS,
        task_queues=[Queue(QUEUE, routing_key=QUEUE, queue_arguments={} if redis else RABBITMQ_QUEUE)],
        task_default_queue=QUEUE,
        task_default_delivery_mode="transient",
        task_ignore_result=True,
        worker_pool="threads",
        worker_concurrency=THREADS,
        worker_prefetch_multiplier=1,
        worker_enable_prefetch_count_reduction=False,
        worker_cancel_long_running_tasks_on_connection_loss=False,
        worker_hijack_root_logger=False,
        worker_redirect_stdouts=False,
    )


def _is_redis(broker_url: str) -> bool:
    return urlsplit(broker_url).scheme.startswith("redis")


class CeleryBroker:
    """Implements `Transport` with a connection of its own."""

    def __init__(self, broker_url: str) -> None:
        self._app = Celery("answerback", set_as_current=False)
        configure(self._app, broker_url)
        self._host = host_of(broker_url)
        self._redis = _is_redis(broker_url)
        self._connection: Connection | None = None
        self._producer: Producer | None = None

    def send(self, topic: Topic, rows: int) -> None:
        connection = self._connection or self._open()
        try:
            producer = self._producer = self._producer or Producer(connection)
            for _ in range(min(-(-rows // ROWS_PER_MESSAGE), MESSAGES_AT_ONCE)):
                self._app.send_task(task_name(topic), producer=producer, retry=False, confirm_timeout=BLOCK_SECONDS)
            if self._redis:
                # Redis does not bound a queue by itself. New messages enter on the left.
                producer.channel.client.ltrim(QUEUE, 0, MAX_MESSAGES - 1)
        except Exception as error:
            # A connection that failed once is not used again.
            self._connection = self._producer = None
            connection.collect(socket_timeout=0.1)
            expected = (OSError, KombuError, *connection.connection_errors, *connection.channel_errors)
            if not isinstance(error, expected):
                raise
            raise TransportUnavailable(f"{type(error.__cause__ or error).__name__} at {self._host}") from error

    def close(self) -> None:
        connection, self._connection, self._producer = self._connection, None, None
        if connection is not None:
            connection.release()

    def _open(self) -> Connection:
        options = {} if self._redis else RABBITMQ_PUBLISHING
        self._connection = self._app.connection_for_write(transport_options=options)
        return self._connection
