"""Messages between a process and its supervisor: JSON arrays that begin with the message's name, each behind its
length."""

import struct
from collections.abc import Iterator
from typing import Any, TypeAlias

from pydantic_core import from_json, to_json

Message: TypeAlias = list[Any]

LENGTH = struct.Struct("!I")


def encode(name: str, *values: object) -> bytes:
    body = to_json((name, *values), inf_nan_mode="constants")
    return LENGTH.pack(len(body)) + body


class Decoder:
    """Takes bytes as they come; a message may come in any number of pieces."""

    def __init__(self) -> None:
        self._received = bytearray()

    def feed(self, data: bytes) -> Iterator[Message]:
        """The messages that are whole now."""
        self._received += data
        while len(self._received) >= LENGTH.size:
            end = LENGTH.size + LENGTH.unpack_from(self._received)[0]
            if len(self._received) < end:
                return
            message: Message = from_json(self._received[LENGTH.size : end])
            del self._received[:end]
            yield message
