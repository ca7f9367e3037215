"""The queue of notifications on a broker: its length is bounded, and its loss is noticed."""

from pathlib import Path

import pytest
from kombu import Connection

from answerback.queue.notifier import Topic
from answerback.queue.notifiers import celery_broker
from answerback.queue.notifiers.celery_broker import CHECK_SECONDS, QUEUE, CeleryBroker
from answerback.queue.notifiers.remote import TransportUnavailable
from answerback.testing.backends import RedisServer
from servers import private


def waiting(url: str) -> int:
    """How many messages wait in the queue."""
    with Connection(url) as connection:
        return int(connection.default_channel.queue_declare(QUEUE, passive=True).message_count)


def own_sockets() -> set[str]:
    """The inodes of this process's sockets."""
    links = (each.readlink().name for each in Path("/proc/self/fd").iterdir() if each.is_symlink())
    return {link.removeprefix("socket:[").removesuffix("]") for link in links if link.startswith("socket:")}


def next_probe(inode: str) -> float:
    """Seconds until the kernel probes an idle TCP connection (proc(5), net/tcp)."""
    rows = (line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:])
    (timer,) = [row[5] for row in rows if row[9] == inode]
    kind, _, when = timer.partition(":")
    assert kind == "02", f"it never does: {timer}"
    return int(when, 16) / 100


def test_an_idle_connection_is_probed(broker_url: str) -> None:
    """Otherwise a dead one would be noticed by the loss of the next notification."""
    before = own_sockets()
    broker = CeleryBroker(broker_url)
    broker.send(Topic.JOBS, 1)

    probes = [next_probe(inode) for inode in own_sockets() - before]
    broker.close()

    assert probes
    assert max(probes) <= CHECK_SECONDS


def test_notifications_that_no_worker_takes_do_not_pile_up(broker_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(celery_broker, "MAX_MESSAGES", 10)
    monkeypatch.setitem(celery_broker.RABBITMQ_QUEUE, "x-max-length", 10)
    broker = CeleryBroker(broker_url)

    for _ in range(5):
        broker.send(Topic.JOBS, 100)
    broker.close()

    assert waiting(broker_url) == 10


def test_rabbitmq_keeps_them_in_a_classic_queue_as_transient_messages(rabbitmq_url: str) -> None:
    broker = CeleryBroker(rabbitmq_url)
    broker.send(Topic.JOBS, 1)
    broker.close()

    # RabbitMQ refuses a declaration that differs from the existing queue.
    declared = {"x-queue-type": "classic", "x-max-length": 1000, "x-message-ttl": 60_000}
    with Connection(rabbitmq_url) as connection:
        channel = connection.default_channel
        channel.queue_declare(QUEUE, durable=True, auto_delete=False, arguments=declared)
        message = channel.basic_get(QUEUE)

    assert message.properties["delivery_mode"] == 1


@pytest.mark.parametrize(("rows", "messages"), [(2, 1), (25, 1), (26, 2), (60, 3), (10_000, 8)])
def test_many_rows_travel_in_few_messages(rows: int, messages: int, broker_url: str) -> None:
    broker = CeleryBroker(broker_url)
    broker.send(Topic.JOBS, rows)
    broker.close()

    assert waiting(broker_url) == messages


def test_after_a_failure_it_connects_anew() -> None:
    with private(RedisServer) as server:
        broker = CeleryBroker(server.url)
        broker.send(Topic.JOBS, 1)
        server.kill()
        with pytest.raises(TransportUnavailable, match=f"at 127.0.0.1:{server.port}$"):
            broker.send(Topic.JOBS, 1)
        server.restart()

        broker.send(Topic.DELIVERIES, 1)

        assert waiting(server.url) == 1
        broker.close()


def test_after_a_failure_of_another_kind_it_connects_anew(broker_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    broker = CeleryBroker(broker_url)
    broker.send(Topic.JOBS, 1)
    used = broker._connection
    with monkeypatch.context() as patch:
        patch.setattr(broker._app, "send_task", broken)
        with pytest.raises(RuntimeError):
            broker.send(Topic.JOBS, 1)

    broker.send(Topic.JOBS, 1)

    assert broker._connection is not used
    assert waiting(broker_url) == 2
    broker.close()


def broken(*_: object, **__: object) -> None:
    raise RuntimeError("a defect of a library")
