"""Charts as SVG: standing alone, drawn by attributes only, every text escaped."""

import html
import math
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

from answerback.benchmark.model import Spread
from answerback.benchmark.units import Unit

WIDTH, LABELS, PLOT = 960, 290, 560
ROW, TITLE, AXIS, GAP = 28, 30, 26, 18
LABEL_SIZE, MARGIN = 12, 10
NARROW, WIDE = frozenset(" !'(),.:;I[]fijlrt|"), frozenset("%@MWmw…")
INK, FAINT, GRID, BAR, WHISKER = "#1f2933", "#52606d", "#e4e7eb", "#5b8def", "#1b3a73"
LEGEND = "bar: average, line: least to most, tick: 95th percentile"


@dataclass(frozen=True, slots=True)
class Panel:
    """One measure: a bar for each label and its spread, None where nothing was measured."""

    title: str
    unit: Unit
    bars: Sequence[tuple[str, Spread | None]]


def text(value: str) -> str:
    """Escaped for HTML and XML, as text and in attributes, without characters that either forbids or that reorder
    others."""
    if not value.isprintable():
        value = "".join(c if c.isprintable() or c in "\n\t" else "\N{REPLACEMENT CHARACTER}" for c in value)
    return html.escape(value)


def shortened(value: str, room: float) -> str:
    """On one line that takes at most `room`, in widths of a wide letter: cut at its end if need be.

    An overestimate: the viewer's font is unknown.
    """
    line = " ".join(value[: int(room) * 8].split())
    taken, fits = 0.0, 0
    for end, character in enumerate(line, 1):
        taken += _width(character)
        if taken > room:
            return line[:fits].rstrip() + "…"
        if taken <= room - _width("…"):
            fits = end
    return line


def _width(character: str) -> float:
    if character in NARROW:
        return 0.42
    if character in WIDE or unicodedata.east_asian_width(character) in "WF":
        return 1.0
    if unicodedata.combining(character):
        return 0.0
    return 0.75 if character.isupper() else 0.62


def svg(panels: Sequence[Panel]) -> str:
    """The panels one below the other."""
    parts: list[str] = []
    y = 0
    for panel in panels:
        parts.extend(_panel(panel, y))
        y += _height(panel)
    parts.append(_words(LABELS, y + 12, LEGEND, FAINT, 12))
    size = f'width="{WIDTH}" height="{y + 24}" viewBox="0 0 {WIDTH} {y + 24}"'
    head = f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img" font-family="system-ui, sans-serif">'
    background = f'<rect width="{WIDTH}" height="{y + 24}" fill="#ffffff"/>'
    return "\n".join([head, f"<title>{text(', '.join(p.title for p in panels))}</title>", background, *parts, "</svg>"])


def _height(panel: Panel) -> int:
    return TITLE + ROW * len(panel.bars) + AXIS + GAP


def _panel(panel: Panel, top: int) -> list[str]:
    step, most = _scale(max((spread.max for _, spread in panel.bars if spread), default=0.0))
    first, bottom = top + TITLE, top + TITLE + ROW * len(panel.bars)
    parts = [_words(LABELS, top + 19, f"{panel.title} ({panel.unit.name})", INK, 15, weight="600")]
    for tick in range(round(most / step) + 1):
        x = LABELS + PLOT * tick * step / most
        parts.append(f'<line x1="{x:.1f}" y1="{first}" x2="{x:.1f}" y2="{bottom}" stroke="{GRID}"/>')
        parts.append(_words(x, bottom + 16, f"{tick * step * panel.unit.factor:g}", FAINT, 11, anchor="middle"))
    for index, (label, spread) in enumerate(panel.bars):
        middle = first + ROW * index + ROW / 2
        fitting = shortened(label, (LABELS - 2 * MARGIN) / LABEL_SIZE)
        parts.append(_words(LABELS - MARGIN, middle + 4, fitting, INK, LABEL_SIZE, anchor="end"))
        parts.extend(
            _bar(spread, panel.unit, middle, most) if spread else [_words(LABELS + 8, middle + 4, "none", FAINT, 12)]
        )
    return parts


def _bar(spread: Spread, unit: Unit, middle: float, most: float) -> list[str]:
    def x(value: float) -> float:
        return LABELS + PLOT * value / most

    low, high, tick = x(spread.min), x(spread.max), x(spread.p95)
    return [
        f'<rect x="{LABELS}" y="{middle - 8}" width="{x(spread.avg) - LABELS:.1f}" height="16" fill="{BAR}" rx="2"/>',
        f'<line x1="{low:.1f}" y1="{middle}" x2="{high:.1f}" y2="{middle}" stroke="{WHISKER}" stroke-width="2"/>',
        f'<line x1="{tick:.1f}" y1="{middle - 6}" x2="{tick:.1f}" y2="{middle + 6}" stroke="{WHISKER}"'
        ' stroke-width="2"/>',
        _words(WIDTH - MARGIN, middle + 4, unit.show(spread.avg), INK, 13, anchor="end"),
    ]


def _scale(most: float) -> tuple[float, float]:
    """A round step, and the least number of them that reaches `most`."""
    if not most > 0:
        return 1.0, 1.0
    power = 10.0 ** math.floor(math.log10(most / 4))
    step = next(power * factor for factor in (1, 2, 5, 10) if most / (power * factor) <= 5)
    return step, step * math.ceil(most / step)


def _words(x: float, y: float, words: str, fill: str, size: int, *, anchor: str = "start", weight: str = "400") -> str:
    style = f'fill="{fill}" font-size="{size}" font-weight="{weight}" text-anchor="{anchor}" unicode-bidi="plaintext"'
    return f'<text x="{x:.1f}" y="{y:.1f}" {style}>{text(words)}</text>'
