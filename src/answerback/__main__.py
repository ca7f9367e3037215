"""`python -m answerback`, and the command of that name."""

import gc


def main() -> None:
    # What is imported stays: collections between the imports would take a fifth of the time of a start.
    gc.disable()
    _import_fastapi()
    from answerback.cli import main as command

    gc.freeze()
    gc.enable()
    command()


def _import_fastapi() -> None:
    """FastAPI has a model of everything that OpenAPI knows. They are built when the document is first asked for."""
    from pydantic import BaseModel, ConfigDict

    BaseModel.model_config = ConfigDict(defer_build=True)
    import fastapi.openapi.models  # noqa: F401

    BaseModel.model_config = ConfigDict()


if __name__ == "__main__":
    main()
