"""What tests of your own integration need: a receiver of callbacks and an LLM with a script, the check of
signatures, the service in a process of its own that can be killed anywhere, and a clock that a test moves."""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from answerback.testing.clock import FakeClock
    from answerback.testing.faults import Fault, kill_at
    from answerback.testing.llm import FakeLLM
    from answerback.testing.process import ServiceError
    from answerback.testing.push import PushLLM
    from answerback.testing.receiver import Receiver
    from answerback.testing.service import Service
    from answerback.testing.worker import Worker

__all__ = ["FakeClock", "FakeLLM", "Fault", "PushLLM", "Receiver", "Service", "ServiceError", "Worker", "kill_at"]

_MODULES = (
    ("FakeClock", "clock"),
    ("FakeLLM", "llm"),
    ("Fault", "faults"),
    ("PushLLM", "push"),
    ("Receiver", "receiver"),
    ("Service", "service"),
    ("ServiceError", "process"),
    ("Worker", "worker"),
    ("kill_at", "faults"),
)


def __getattr__(name: str) -> object:
    # On demand, so that `python -m answerback.testing.faults` runs a module that is not imported yet.
    for known, module in _MODULES:
        if name == known:
            value: object = getattr(import_module(f"{__name__}.{module}"), name)
            return value
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
