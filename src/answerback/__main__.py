"""`python -m answerback`, and the command of that name."""

import gc
import sys
from types import SimpleNamespace

from answerback.bootstrap.signals import stop_at_once

SERVICES = (["serve"], ["worker"])
"""The commands that run until they are stopped."""


def main() -> None:
    if sys.argv[1:2] in SERVICES:
        # Importing alone takes a second.
        stop_at_once()
    # What is imported stays: collections between the imports would take a fifth of the time of a start.
    gc.disable()
    _import_fastapi()
    _import_uvicorn()
    from answerback.cli import main as command

    gc.freeze()
    gc.enable()
    command()


def _import_fastapi() -> None:
    """FastAPI has a model of everything that OpenAPI knows. They are built when the document is first asked for. It
    would also import the whole of Pydantic's first version, to find out that no model here is of that."""
    from pydantic import BaseModel, ConfigDict

    sys.modules["pydantic.v1"] = None  # type: ignore[assignment]
    BaseModel.model_config = ConfigDict(defer_build=True)
    import fastapi.openapi.models  # noqa: F401

    BaseModel.model_config = ConfigDict()


def _import_uvicorn() -> None:
    """Without its command line, which is Click and supervisors of its own."""
    sys.modules["uvicorn.main"] = SimpleNamespace(Server=None, main=None, run=None)  # type: ignore[assignment]
    import uvicorn.server  # noqa: F401

    del sys.modules["uvicorn.main"]


if __name__ == "__main__":
    main()
