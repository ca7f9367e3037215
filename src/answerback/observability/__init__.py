"""What an operator reads: the log, the metrics, the traces."""

from answerback.observability.logs import configure

__all__ = ["configure"]
