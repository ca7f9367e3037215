"""RabbitMQ, private: its own node, its own name service, its own data."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar

from answerback.testing.backends.backend import Backend, binary, replies
from answerback.testing.ports import HOST

VHOSTS = 96
"""Virtual hosts of the server that tests share, `test-0` and on, beside `/`. They take a third of its start; for one
made later `rabbitmqctl` takes a second."""

FOLDERS = (Path("/usr/lib/rabbitmq/bin"), Path("/usr/local/sbin"), Path("/usr/sbin"))
"""Debian's own in `/usr/sbin` is a wrapper that changes user and settings."""

SMALL = "+S 1:1 +SDcpu 1:1 +SDio 1 +A 1 -kernel inet_dist_use_interface {127,0,0,1}"
USER = "guest"


class RabbitServer(Backend):
    """What is durable outlives `kill`; the broker takes about five seconds of CPU to start."""

    vhosts: ClassVar[int] = 0
    """How many there are beside `/`."""

    def __init__(self, folder: Path | None) -> None:
        super().__init__(folder)
        self._dist_port = self._port()
        self._names_port = self._port()

    @property
    def url(self) -> str:
        return f"amqp://{USER}:{USER}@{HOST}:{self.port}//"

    def _prepare(self) -> None:
        self._program = binary("rabbitmq-server", FOLDERS, "rabbitmq-server")
        names = binary("epmd", [], "erlang-base")
        (self.folder / "definitions.json").write_text(json.dumps(_definitions(self.vhosts)))
        (self.folder / "environment").write_text("")
        (self.folder / "plugins").write_text("[].\n")
        (self.folder / "rabbitmq.conf").write_text(
            f"listeners.tcp.local = {HOST}:{self.port}\n"
            f"load_definitions = {self.folder / 'definitions.json'}\n"
            "vm_memory_high_watermark.absolute = 512MB\n"
            "disk_free_limit.absolute = 20MB\n"
        )
        # The broker would start Erlang's name service for the whole machine, and leave it behind.
        self._spawn(names, "-address", HOST, "-port", str(self._names_port))

    def _command(self) -> Sequence[str | Path]:
        return (self._program, "-noinput")

    def _variables(self) -> Mapping[str, str]:
        return {
            "HOME": str(self.folder),
            "ERL_EPMD_ADDRESS": HOST,
            "ERL_EPMD_PORT": str(self._names_port),
            "RABBITMQ_NODENAME": f"answerback-{self.port}@localhost",
            "RABBITMQ_DIST_PORT": str(self._dist_port),
            "RABBITMQ_CONF_ENV_FILE": str(self.folder / "environment"),
            "RABBITMQ_CONFIG_FILE": str(self.folder / "rabbitmq.conf"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(self.folder / "plugins"),
            "RABBITMQ_MNESIA_BASE": str(self.folder / "mnesia"),
            "RABBITMQ_LOG_BASE": str(self.folder / "log"),
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": SMALL,
            # Then the script becomes the broker, instead of waiting for it as its parent.
            "RABBITMQ_ALLOW_INPUT": "1",
        }

    def _serves(self) -> bool:
        """It listens when it has started; it sends the first frame after the protocol header."""
        return replies(self.port, b"AMQP\x00\x00\x09\x01", b"\x01")


class ManyVhosts(RabbitServer):
    """For many tests, each with a vhost of its own."""

    vhosts = VHOSTS


def _definitions(count: int) -> dict[str, object]:
    vhosts = ["/", *(f"test-{number}" for number in range(count))]
    rights = {"user": USER, "configure": ".*", "write": ".*", "read": ".*"}
    return {
        "users": [{"name": USER, "password": USER, "tags": "administrator"}],
        "vhosts": [{"name": name} for name in vhosts],
        "permissions": [{"vhost": name, **rights} for name in vhosts],
    }
