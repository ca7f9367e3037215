"""A benchmark's report as one HTML page: no script, nothing loaded from elsewhere, every text escaped."""

import base64
import hashlib
from collections.abc import Sequence

from answerback.benchmark.chart import Panel, number, svg, text
from answerback.benchmark.model import Report, Spread, Summary

STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; color: #1f2933; background: #ffffff; margin: 2rem auto; padding: 0 1rem;
  max-width: 76rem; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th, td { border-bottom: 1px solid #e4e7eb; padding: .4rem .6rem; text-align: right; vertical-align: top; }
th { color: #52606d; font-weight: 600; }
.text { text-align: start; unicode-bidi: plaintext; white-space: pre-wrap; overflow-wrap: anywhere;
  min-width: 12rem; max-width: 22rem; }
.scroll { overflow-x: auto; }
.faint { color: #52606d; }
"""
_DIGEST = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()

POLICY = f"default-src 'none'; style-src 'sha256-{_DIGEST}'; base-uri 'none'; form-action 'none'"
"""The content security policy: the page's own style, and nothing else."""

SHOWN_CHARACTERS = 300
CHARTED_PROMPTS = 40
COLUMNS = ("calls", "failures", "retries", "avg", "min", "max", "std dev", "p50", "p95", "first token", "tokens/s")


def render(report: Report) -> str:
    """The page, with the numbers of each prompt and a chart of those that took longest."""
    plan = report.plan
    facts = (
        f"{plan.runs} run{'' if plan.runs == 1 else 's'} of {len(plan.prompts)} "
        f"prompt{'' if len(plan.prompts) == 1 else 's'}, {plan.concurrency} at once, {plan.max_tokens} tokens at most; "
        f"{number(report.seconds)} s in all."
    )
    head = "".join(f"<th>{column}</th>" for column in COLUMNS)
    rows = [_row("all prompts", "", report.overall)]
    rows += [_row(*each) for each in zip(plan.prompts, report.answers, report.prompts, strict=True)]
    return "\n".join(
        [
            '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">',
            f'<meta http-equiv="Content-Security-Policy" content="{text(POLICY)}">',
            '<meta name="viewport" content="width=device-width">',
            f"<title>Benchmark of {text(report.model)}</title>\n<style>{STYLE}</style>\n</head>\n<body>",
            f"<h1>Benchmark of {text(report.model)}</h1>",
            f"<p>{facts}{_failures(report.overall)}</p>",
            f'<div class="scroll">{svg(_panels(report))}</div>',
            '<div class="scroll"><table>',
            f'<thead><tr><th class="text">prompt</th><th class="text">first answer</th>{head}</tr></thead>\n<tbody>',
            *rows,
            "</tbody></table></div>",
            '<p class="faint">Times are in seconds and leave out the waits between tries; std dev is the sample\'s; '
            "first token and tokens/s are averages.</p>",
            f"<p>Every run: <code>{text(report.results_file)}</code></p>\n</body>\n</html>\n",
        ]
    )


def _failures(overall: Summary) -> str:
    codes = ", ".join(f"{count} {text(code)}" for code, count in overall.failure_codes.items())
    return f" Failures: {codes}." if codes else ""


def _panels(report: Report) -> Sequence[Panel]:
    measured = list(zip(report.plan.prompts, report.prompts, strict=True))
    measured.sort(key=lambda each: each[1].latency.avg if each[1].latency else 0.0, reverse=True)
    shown = measured[:CHARTED_PROMPTS]
    title = "Latency" if len(shown) == len(measured) else f"Latency, the {CHARTED_PROMPTS} slowest prompts"
    everything = ("all prompts", report.overall)
    return [
        Panel(title, "s", [(prompt, summary.latency) for prompt, summary in (everything, *shown)]),
        Panel("Time to first token", "s", [("all prompts", report.overall.time_to_first_token)]),
        Panel("Tokens per second", "1/s", [("all prompts", report.overall.tokens_per_second)]),
    ]


def _row(prompt: str, answer: str, summary: Summary) -> str:
    latency = summary.latency
    times = [None] * 6 if latency is None else [*_numbers(latency)]
    cells = [*times, _avg(summary.time_to_first_token), _avg(summary.tokens_per_second)]
    counts = (summary.calls, summary.failures, summary.retries)
    return (
        f'<tr><td class="text">{_excerpt(prompt)}</td><td class="text">{_excerpt(answer)}</td>'
        + "".join(f"<td>{count}</td>" for count in counts)
        + "".join(f"<td>{'' if cell is None else number(cell)}</td>" for cell in cells)
        + "</tr>"
    )


def _excerpt(value: str) -> str:
    return text(value if len(value) <= SHOWN_CHARACTERS else value[: SHOWN_CHARACTERS - 1] + "…")


def _numbers(spread: Spread) -> Sequence[float]:
    return (spread.avg, spread.min, spread.max, spread.std_dev, spread.p50, spread.p95)


def _avg(spread: Spread | None) -> float | None:
    return spread.avg if spread else None
