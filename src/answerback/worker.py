"""The Celery application of a worker: `celery -A answerback.worker worker -P threads`."""

from answerback.bootstrap.worker import celery_app


def __getattr__(name: str) -> object:
    # Built when Celery asks for it: nothing is read or opened by importing this module.
    if name == "app":
        return celery_app()
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
