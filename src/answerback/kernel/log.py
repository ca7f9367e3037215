"""The log, as every room writes it."""

from typing import Protocol


class Log(Protocol):
    """One wide line per stage. Never a message's text, never a secret."""

    def info(self, event: str, /, **fields: object) -> None: ...

    def warning(self, event: str, /, **fields: object) -> None: ...

    def error(self, event: str, /, **fields: object) -> None: ...

    def exception(self, event: str, /, **fields: object) -> None: ...
