"""What Prometheus would read."""

from answerback.observability.metrics import PrometheusMetrics


def counted(metrics: PrometheusMetrics, name: str) -> float:
    """The value of the counter without labels that is exposed under this name; 0 before its first count."""
    lines = metrics.exposition(None).decode().splitlines()
    values = [float(line.split()[1]) for line in lines if line.startswith(f"{name} ")]
    return values[0] if values else 0.0
