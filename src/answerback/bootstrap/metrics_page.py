"""The page that Prometheus reads: of this process, or of all that serve together."""

from collections.abc import Awaitable, Callable
from typing import TypeAlias

from answerback.kernel.telemetry import Depth
from answerback.observability.metrics import PrometheusMetrics, page_of
from answerback.siblings.link import Gone, Link

Page: TypeAlias = Callable[[Depth | None], Awaitable[bytes]]


def make_page(metrics: PrometheusMetrics, siblings: Link | None) -> Page:
    async def own(depth: Depth | None) -> bytes:
        return metrics.exposition(depth)

    if siblings is None:
        return own
    link = siblings
    link.figures = metrics.figures

    async def of_all(depth: Depth | None) -> bytes:
        figures = metrics.figures(depth)
        try:
            return page_of([figures, *await link.others(figures)])
        except Gone:
            return await own(depth)

    return of_all
