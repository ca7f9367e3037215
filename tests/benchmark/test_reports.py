"""Reports are safe: what a user or a model wrote is text, in a page and in a spreadsheet."""

import csv
import io
import time
import xml.etree.ElementTree as ET
from collections.abc import Sequence
from html.parser import HTMLParser

import pytest

from answerback.benchmark import page, sheet
from answerback.benchmark.chart import Panel, shortened, svg
from answerback.benchmark.model import Plan, Report, Run, reasons_of, spread, summarize
from answerback.benchmark.units import duration, unit_of_rates, unit_of_times

HOSTILE = (
    "<script>alert(1)</script>",
    "</td></table></svg><img src=x onerror=alert(1)>",
    "<svg onload=alert(1)><style>*{display:none}</style>",
    "\" onmouseover=\"alert(1)' x='",
    "]]><!--",
    "&lt;b&gt; &amp; &#60;",
    '=HYPERLINK("http://evil.example","x")',
    "+1+cmd|' /C calc'!A0",
    "-2+3",
    "@SUM(A1)",
    "\tstarts with a tab",
    "\rstarts with a return",
    "  \n =1+1",
    'one, two; three "quoted"\nand a second line',
    "a;=1+1;\t@x\n-2",
    "\N{FULLWIDTH EQUALS SIGN}1+1",
    "bell \x07 nul \0 override \N{RIGHT-TO-LEFT OVERRIDE}txt.exe",
    "half a \ud800 pair",
)


def report(prompts: Sequence[str], answers: Sequence[str], *, failure: str | None = None) -> Report:
    plan = Plan(prompts, "vendor/<b>model</b>", 1, 5, 512)
    runs = [Run(n, 1, "m", 1, 0.5 + n / 100, 0.1, 10, failure) for n in range(len(prompts))]
    prompts_of = [summarize([run]) for run in runs]
    return Report(plan, plan.model, 1.0, summarize(runs), prompts_of, answers, "b/<i>.csv", reasons_of(runs))


class Seen(HTMLParser):
    """What a browser would make of a page: elements, attributes, texts."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.text = ""
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes.update(name for name, _ in attrs)

    def handle_data(self, data: str) -> None:
        self.text += data


MS = unit_of_times([spread([0.5])])
PLAIN = Seen(page.render(report(["a prompt"], ["an answer"])))


@pytest.mark.parametrize("hostile", HOSTILE)
def test_in_the_page_it_is_text(hostile: str) -> None:
    html = page.render(report([hostile], [hostile]))

    seen = Seen(html)
    assert (seen.tags, seen.attributes) == (PLAIN.tags, PLAIN.attributes)
    assert "script" not in seen.tags
    shown = "".join(c if c.isprintable() or c in "\n\t" else "\N{REPLACEMENT CHARACTER}" for c in hostile)
    assert seen.text.count(shown) >= 2
    html.encode()


def test_the_page_needs_nothing_from_elsewhere() -> None:
    html = page.render(report(HOSTILE, HOSTILE))

    assert not {"src", "href", "style", "onload", "onerror"} & Seen(html).attributes
    assert "url(" not in page.STYLE
    assert f"<style>{page.STYLE}</style>" in html
    assert page.POLICY.startswith("default-src 'none'")


def test_the_page_shows_the_numbers_and_what_failed() -> None:
    text = Seen(page.render(report(["a"], [""], failure="upstream_error"))).text

    assert "Failures: 1 upstream_error." in text
    assert "a: 1 upstream_error of 1" in text
    assert "vendor/<b>model</b>" in text
    assert "b/<i>.csv" in text


def test_a_page_of_the_largest_benchmark_is_made_in_a_moment() -> None:
    prompts = [f"prompt {n}" for n in range(10_000)]
    started = time.process_time()

    html = page.render(report(prompts, prompts))

    assert time.process_time() - started < 5
    assert html.count("<tr>") == 10_002
    assert html.count("<rect") < 150


def test_a_failure_is_named_by_its_prompt_and_a_prompt_that_was_answered_is_not() -> None:
    plan = Plan(["good", "bad"], "m", 1, 1, 10)
    runs = [Run(0, 1, "m", 1, 0.5, 0.1, 10, None), Run(1, 1, "m", 1, 0.5, 0.1, 10, "upstream_timeout", "<b>late")]
    prompts = [summarize([run]) for run in runs]
    page_of = Report(plan, "m", 1.0, summarize(runs), prompts, ["", ""], "b.csv", reasons_of(runs))

    html = page.render(page_of)

    assert Seen(html).text.count("upstream_timeout") == 3
    assert "upstream_timeout: <b>late" in Seen(html).text
    assert "bad: 1 upstream_timeout of 1" in Seen(html).text
    assert html.count("<li>") == 1


def test_the_page_is_for_phones_and_follows_the_scheme_of_its_reader() -> None:
    assert "@media (max-width: 48rem)" in page.STYLE
    assert "@media (prefers-color-scheme: dark)" in page.STYLE
    assert "tabular-nums" in page.STYLE
    assert '<meta name="viewport" content="width=device-width">' in page.render(report(["a"], ["b"]))


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [([0.0123], "12.30 ms"), ([0.1234, 0.5], "123.4 ms"), ([0.0123, 2.0], "12 ms"), ([1.234, 20.0], "1.23 s")],
)
def test_times_are_in_a_unit_that_shows_their_differences(seconds: list[float], shown: str) -> None:
    unit = unit_of_times([spread(seconds), None])

    assert f"{unit.show(seconds[0])} {unit.name}" == shown


def test_rates_have_decimals_where_these_matter() -> None:
    assert unit_of_rates([spread([31.25])]).show(31.25) == "31.2"
    assert unit_of_rates([spread([3125.0])]).show(3125.0) == "3,125"


def test_one_time_is_in_the_unit_that_fits_it() -> None:
    assert [duration(0.113), duration(4.86), duration(150.0)] == ["113 ms", "4.9 s", "2.5 min"]


@pytest.mark.parametrize("hostile", HOSTILE)
def test_the_chart_alone_is_xml_with_text(hostile: str) -> None:
    drawn = svg([Panel("Latency", MS, [(hostile, spread([0.2, 0.4])), ("none", None)])])

    root = ET.fromstring(drawn.encode())
    kinds = {element.tag.removeprefix("{http://www.w3.org/2000/svg}") for element in root.iter()}
    assert kinds == {"svg", "title", "rect", "line", "text"}


@pytest.mark.parametrize(
    "label",
    [
        "W" * 100,
        "m w @ % " * 20,
        "What is the capital of France, and why? " * 5,
        "日本の首都" * 20,
        "\N{EARTH GLOBE AMERICAS}" * 80,
    ],
)
def test_a_long_label_keeps_its_beginning_and_fits_its_room(label: str) -> None:
    drawn = svg([Panel("Latency", MS, [(label, spread([1.0])), ("short", spread([1.0]))])])

    root = ET.fromstring(drawn.encode())
    shown, short = [e.text or "" for e in root.iter("{http://www.w3.org/2000/svg}text") if e.get("font-size") == "12"][
        :2
    ]
    assert shown.endswith("…")
    assert label.startswith(shown.removesuffix("…"))
    assert 15 < len(shown) < 45
    assert short == "short"


def test_a_label_is_cut_only_where_it_must_be() -> None:
    assert shortened("a" * 10, 6.3) == "a" * 10
    assert shortened("a" * 11, 6.3) == "a" * 8 + "…"
    assert shortened("WWW", 3) == "WWW"
    assert shortened("WWWW", 3) == "WW…"
    assert shortened("two\n lines", 9) == "two lines"


def test_bars_are_as_long_as_their_numbers() -> None:
    drawn = svg([Panel("Latency", MS, [("a", spread([1.0])), ("b", spread([3.0])), ("c", spread([0.0]))])])

    root = ET.fromstring(drawn.encode())
    bars = [float(e.get("width", "")) for e in root.iter("{http://www.w3.org/2000/svg}rect") if e.get("rx")]
    assert bars[1] == pytest.approx(3 * bars[0], abs=0.2)
    assert bars[2] == 0


@pytest.mark.parametrize("hostile", HOSTILE)
def test_in_the_spreadsheet_it_is_text(hostile: str) -> None:
    text = sheet.line([1, hostile, None, 0.5, "end"])

    # Read as it is meant, and as a spreadsheet whose separator is another would.
    (cells,) = csv.reader(io.StringIO(text, newline=""))
    assert (cells[0], cells[2:]) == ("1", ["", "0.500000", "end"])
    assert cells[1].replace("'", "") == hostile.replace("\0", "").replace("'", "")
    assert not cells[1].startswith(("=", "+", "-", "@", "\t", "\r"))
    for delimiter in ",;\t":
        for row in csv.reader(io.StringIO(text, newline=""), delimiter=delimiter):
            assert not [cell for cell in row if cell.strip().startswith(("=", "+", "-", "@"))]


def test_harmless_text_is_left_as_it_is() -> None:
    for text in ("a-b", "1 + 1 = 2", "mail me @ home", "x=1", "one\ntwo", ""):
        assert sheet.inert(text) == text


@pytest.mark.parametrize("text", ["\n" * 100_000, "; " * 100_000, " " * 100_000, "=" * 100_000, "\n=" * 100_000])
def test_no_text_takes_long_to_make_safe(text: str) -> None:
    started = time.process_time()

    sheet.inert(text)

    assert time.process_time() - started < 1
