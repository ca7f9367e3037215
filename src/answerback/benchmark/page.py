"""A benchmark's report as one HTML page: no script, nothing loaded from elsewhere, every text escaped. It fits a phone,
and follows the reader's light or dark scheme."""

import base64
import hashlib
from collections.abc import Iterator, Sequence

from answerback.benchmark.chart import LEGEND, text
from answerback.benchmark.model import Report, Spread, Summary
from answerback.benchmark.units import Unit, duration, unit_of_rates, unit_of_times

COLUMNS = ("calls", "failures", "retries", "avg", "min", "max", "std dev", "p50", "p95", "first token", "tokens/s")
TEXTS = ("prompt", "first answer")

_LABELS = "\n".join(
    f'  td:nth-child({number})::before {{ content: "{name}"; }}' for number, name in enumerate(COLUMNS, len(TEXTS) + 1)
)
STYLE = f"""
:root {{ color-scheme: light dark; --ink: #1f2933; --paper: #ffffff; --faint: #52606d; --rule: #e4e7eb;
  --bar: #5b8def; --whisker: #1b3a73; --bad: #b42318; }}
@media (prefers-color-scheme: dark) {{
  :root {{ --ink: #e6e9ed; --paper: #14181d; --faint: #a3adb8; --rule: #323a43;
    --bar: #3f6fd1; --whisker: #c3d5fb; --bad: #ff8a7a; }}
}}
body {{ font: 15px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper); margin: 2rem auto;
  padding: 0 1rem; max-width: 76rem; font-variant-numeric: tabular-nums; }}
h1, code {{ overflow-wrap: anywhere; }}
h2 {{ font-size: 1.1rem; margin: 2rem 0 .5rem; }}
table {{ border-collapse: collapse; width: 100%; }}
th, td {{ border-bottom: 1px solid var(--rule); padding: .4rem .6rem; text-align: right; vertical-align: top; }}
th {{ color: var(--faint); font-weight: 600; }}
.text {{ text-align: start; unicode-bidi: plaintext; white-space: pre-wrap; overflow-wrap: anywhere; }}
td.text {{ min-width: 12rem; max-width: 22rem; }}
.scroll {{ overflow-x: auto; }}
.faint {{ color: var(--faint); }}
.bad {{ color: var(--bad); }}
.bar {{ display: grid; grid-template-columns: minmax(0, 18rem) 1fr 6rem; gap: 0 .75rem; align-items: center; }}
.bar .label {{ unicode-bidi: plaintext; white-space: nowrap; overflow: hidden; text-overflow: ellipsis; }}
.bar .number {{ text-align: right; white-space: nowrap; }}
.bar svg {{ width: 100%; height: 1rem; background: var(--rule); }}
.avg {{ fill: var(--bar); }}
.whisker {{ fill: var(--whisker); }}
@media (max-width: 48rem) {{
  body {{ margin: 1rem auto; }}
  .bar {{ grid-template-columns: 1fr 6rem; margin-bottom: .5rem; }}
  .bar .label {{ grid-column: 1 / 3; }}
  thead {{ display: none; }}
  table, tbody, tr {{ display: block; }}
  tr {{ display: grid; grid-template-columns: 1fr 1fr; gap: 0 1.5rem; border-bottom: 1px solid var(--rule);
    padding: .75rem 0; }}
  td {{ display: flex; justify-content: space-between; border: 0; padding: .1rem 0; }}
  td.text {{ display: block; grid-column: 1 / 3; min-width: 0; max-width: none; }}
  td:nth-child(1) {{ font-weight: 600; }}
  td:nth-child(2) {{ color: var(--faint); }}
  td::before {{ color: var(--faint); }}
{_LABELS}
}}
"""
_DIGEST = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()

POLICY = f"default-src 'none'; style-src 'sha256-{_DIGEST}'; base-uri 'none'; form-action 'none'"
"""The content security policy: the page's own style, and nothing else."""

SHOWN_CHARACTERS = 300
CHARTED_PROMPTS = 40
NAMED_FAILURES = 100
"""How many prompts the list of failures names."""
EVERYTHING = "all prompts"


def render(report: Report) -> str:
    """The page, with the numbers of each prompt and a chart of those that took longest."""
    times = unit_of_times([report.overall.latency])
    rates = unit_of_rates([report.overall.tokens_per_second])
    return "\n".join(
        [
            '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">',
            f'<meta http-equiv="Content-Security-Policy" content="{text(POLICY)}">',
            '<meta name="viewport" content="width=device-width">',
            f"<title>Benchmark of {text(report.model)}</title>\n<style>{STYLE}</style>\n</head>\n<body>",
            f"<h1>Benchmark of {text(report.model)}</h1>",
            f"<p>{_facts(report)}</p>",
            *_failures(report),
            *_charts(report, times, rates),
            f"<h2>Numbers</h2>\n{_table(report, times, rates)}",
            f'<p class="faint">Times are in {times.name} and leave out the waits between tries; std dev is the '
            "sample's; first token and tokens/s are averages.</p>",
            f"<p>Every run: <code>{text(report.results_file)}</code></p>\n</body>\n</html>\n",
        ]
    )


def _facts(report: Report) -> str:
    plan = report.plan
    return (
        f"{plan.runs} run{'' if plan.runs == 1 else 's'} of {len(plan.prompts)} "
        f"prompt{'' if len(plan.prompts) == 1 else 's'}, {plan.concurrency} at once, "
        f"{plan.max_tokens:,} tokens at most; {duration(report.seconds)} in all."
    )


def _failures(report: Report) -> Iterator[str]:
    """Which prompts failed, and with which codes."""
    failed = [each for each in zip(report.plan.prompts, report.prompts, strict=True) if each[1].failures]
    if not failed:
        return
    yield f'<h2 class="bad">Failures: {_codes(report.overall)}.</h2>'
    for code, reason in report.reasons.items():
        yield f'<p>{text(code)}: <span class="text">{text(reason)}</span></p>'
    yield "<ul>"
    for prompt, summary in failed[:NAMED_FAILURES]:
        yield f'<li><span class="text">{_excerpt(prompt)}</span>: {_codes(summary)} of {summary.calls}</li>'
    if len(failed) > NAMED_FAILURES:
        yield f"<li>and {len(failed) - NAMED_FAILURES:,} more prompts, in the table</li>"
    yield "</ul>"


def _codes(summary: Summary) -> str:
    return ", ".join(f"{count} {text(code)}" for code, count in summary.failure_codes.items())


def _charts(report: Report, times: Unit, rates: Unit) -> Iterator[str]:
    measured = list(zip(report.plan.prompts, report.prompts, strict=True))
    measured.sort(key=lambda each: each[1].latency.avg if each[1].latency else 0.0, reverse=True)
    shown = measured[:CHARTED_PROMPTS]
    title = "Latency" if len(shown) == len(measured) else f"Latency, the {CHARTED_PROMPTS} slowest prompts"
    overall = report.overall
    latencies = [(EVERYTHING, overall.latency), *((prompt, summary.latency) for prompt, summary in shown)]
    yield from _chart(title, times, latencies)
    yield from _chart("Time to first token", times, [(EVERYTHING, overall.time_to_first_token)])
    yield from _chart("Tokens per second", rates, [(EVERYTHING, overall.tokens_per_second)])
    yield f'<p class="faint">{LEGEND}</p>'


def _chart(title: str, unit: Unit, bars: Sequence[tuple[str, Spread | None]]) -> Iterator[str]:
    most = max((spread.max for _, spread in bars if spread), default=0.0) or 1.0
    yield f"<h2>{title}</h2>"
    for label, spread in bars:
        number = "none" if spread is None else f"{unit.show(spread.avg)} {unit.name}"
        yield (
            f'<div class="bar"><span class="label">{_excerpt(" ".join(label.split()))}</span>'
            f'<svg viewBox="0 0 100 10" preserveAspectRatio="none" aria-hidden="true">{_bar(spread, 100 / most)}</svg>'
            f'<span class="number">{number}</span></div>'
        )


def _bar(spread: Spread | None, scale: float) -> str:
    if spread is None:
        return ""
    least, span = spread.min * scale, (spread.max - spread.min) * scale
    return (
        f'<rect class="avg" width="{spread.avg * scale:.2f}" height="10"/>'
        f'<rect class="whisker" x="{least:.2f}" y="4.5" width="{span:.2f}" height="1"/>'
        f'<rect class="whisker" x="{max(0.0, spread.p95 * scale - 0.3):.2f}" y="1.5" width="0.3" height="7"/>'
    )


def _table(report: Report, times: Unit, rates: Unit) -> str:
    head = "".join(f'<th class="text">{name}</th>' for name in TEXTS) + "".join(f"<th>{name}</th>" for name in COLUMNS)
    rows = [_row(EVERYTHING, "", report.overall, times, rates)]
    for prompt, answer, summary in zip(report.plan.prompts, report.answers, report.prompts, strict=True):
        rows.append(_row(prompt, answer, summary, times, rates))
    body = "\n".join(rows)
    return f'<div class="scroll"><table>\n<thead><tr>{head}</tr></thead>\n<tbody>\n{body}\n</tbody></table></div>'


def _row(prompt: str, answer: str, summary: Summary, times: Unit, rates: Unit) -> str:
    latency = summary.latency
    cells = [""] * 6 if latency is None else [times.show(value) for value in _numbers(latency)]
    first, rate = summary.time_to_first_token, summary.tokens_per_second
    cells += ["" if first is None else times.show(first.avg), "" if rate is None else rates.show(rate.avg)]
    counts = (f"{summary.calls:,}", f"{summary.failures:,}", f"{summary.retries:,}")
    return (
        f'<tr><td class="text">{_excerpt(prompt)}</td><td class="text">{_excerpt(answer)}</td>'
        + "".join(f"<td>{cell}</td>" for cell in (*counts, *cells))
        + "</tr>"
    )


def _excerpt(value: str) -> str:
    return text(value if len(value) <= SHOWN_CHARACTERS else value[: SHOWN_CHARACTERS - 1] + "…")


def _numbers(spread: Spread) -> Sequence[float]:
    return (spread.avg, spread.min, spread.max, spread.std_dev, spread.p50, spread.p95)
