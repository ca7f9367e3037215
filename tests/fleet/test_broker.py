"""The queue of notifier: what waits in it is bounded, and its loss is noticed."""

from pathlib import Path

import pytest
from kombu import Connection

from answerback.queue.notifiers import celery_broker as brokers
from answerback.queue.notifiers.celery_broker import CHECK_SECONDS, QUEUE, CeleryBroker
from answerback.queue.notifiers.local import Kind
from answerback.queue.notifiers.publisher import BrokerUnavailable
from answerback.testing.backends import RedisServer
from servers import private


def waiting(url: str) -> int:
    """How many messages wait for a worker."""
    with Connection(url) as connection:
        return int(connection.default_channel.queue_declare(QUEUE, passive=True).message_count)


def own_sockets() -> set[str]:
    """The inodes of this process's."""
    links = (each.readlink().name for each in Path("/proc/self/fd").iterdir() if each.is_symlink())
    return {link.removeprefix("socket:[").removesuffix("]") for link in links if link.startswith("socket:")}


def next_probe(inode: str) -> float:
    """Seconds until the kernel looks after a TCP connection on which nothing travels (proc(5), net/tcp)."""
    rows = (line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:])
    (timer,) = [row[5] for row in rows if row[9] == inode]
    kind, _, when = timer.partition(":")
    assert kind == "02", f"it never does: {timer}"
    return int(when, 16) / 100


def test_a_connection_that_nobody_uses_is_probed_all_the_same(broker_url: str) -> None:
    """Or one that has fallen silent would stay open until there is something to send, and cost that."""
    before = own_sockets()
    broker = CeleryBroker(broker_url)
    broker.send(Kind.JOBS, 1)

    probes = [next_probe(inode) for inode in own_sockets() - before]
    broker.close()

    assert probes
    assert max(probes) <= CHECK_SECONDS


def test_hints_that_nobody_takes_do_not_pile_up(broker_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(brokers, "MAX_MESSAGES", 10)
    broker = CeleryBroker(broker_url)

    for _ in range(5):
        broker.send(Kind.JOBS, 5)
    broker.close()

    assert waiting(broker_url) == 10


def test_rabbitmq_keeps_them_in_a_quorum_queue(rabbitmq_url: str) -> None:
    broker = CeleryBroker(rabbitmq_url)
    broker.send(Kind.JOBS, 1)
    broker.close()

    # RabbitMQ refuses a declaration that differs from what there is.
    with Connection(rabbitmq_url) as connection:
        declared = {"x-queue-type": "quorum", "x-max-length": 1000, "x-message-ttl": 60_000}
        connection.default_channel.queue_declare(QUEUE, durable=True, auto_delete=False, arguments=declared)


def test_after_a_failure_it_connects_anew() -> None:
    with private(RedisServer) as server:
        broker = CeleryBroker(server.url)
        broker.send(Kind.JOBS, 1)
        server.kill()
        with pytest.raises(BrokerUnavailable, match=f"at 127.0.0.1:{server.port}$"):
            broker.send(Kind.JOBS, 1)
        server.restart()

        broker.send(Kind.DELIVERIES, 1)

        assert waiting(server.url) == 1
        broker.close()


def test_so_it_does_after_one_that_nobody_foresaw(broker_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    broker = CeleryBroker(broker_url)
    broker.send(Kind.JOBS, 1)
    used = broker._connection
    with monkeypatch.context() as patch:
        patch.setattr(broker._app, "send_task", broken)
        with pytest.raises(RuntimeError):
            broker.send(Kind.JOBS, 1)

    broker.send(Kind.JOBS, 1)

    assert broker._connection is not used
    assert waiting(broker_url) == 2
    broker.close()


def broken(*_: object, **__: object) -> None:
    raise RuntimeError("a defect of a library")
