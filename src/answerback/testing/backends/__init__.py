"""Private PostgreSQL, Redis and RabbitMQ servers on 127.0.0.1, for tests that must kill them; Unix only."""

from answerback.testing.backends.backend import BackendUnavailable
from answerback.testing.backends.postgres import PostgresServer
from answerback.testing.backends.rabbit import RabbitServer
from answerback.testing.backends.redis import RedisServer

__all__ = ["BackendUnavailable", "PostgresServer", "RabbitServer", "RedisServer"]
