"""What a benchmark says of its figures: targets, verdicts, the page, the plots."""

import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from bench.plan import QUICK
from bench.report import write
from bench.results import PORTKEY_WHERE_SET, Results


def compared(ours: float, theirs: float) -> Results:
    results = Results()
    one = results.add("a", "requests a second, upstream of 0 ms", "Answerback", "/s", [ours])
    other = results.add("a", "requests a second, upstream of 0 ms", "Portkey", "/s", [theirs])
    results.aim("a", "over Portkey's", one.median / other.median, 4, 8, "x", more=True, ratio=True)
    return results


@pytest.mark.parametrize(("ours", "verdict"), [(300, "short"), (400, "reached"), (800, "better")])
def test_a_ratio_that_falls_short_fails_the_run(ours: float, verdict: str) -> None:
    results = compared(ours, 100)

    assert [each.verdict for each in results.targets] == [verdict]
    assert bool(results.failed) == (verdict == "short")


def test_a_figure_of_this_machine_alone_fails_no_run() -> None:
    results = Results()

    results.aim("e", "POST until callback, p50", 9.0, 2.5, 1.5, "ms", more=False)

    assert results.targets[0].verdict == "short"
    assert results.failed == []


@pytest.mark.starts_processes
def test_the_page_shows_targets_medians_and_spread_and_what_is_absent(tmp_path: Path) -> None:
    results = compared(500, 100)
    results.add("b", "chunks a second", "Answerback", "/s", [22_000, 25_000, 24_000])
    results.absent["LiteLLM"] = "no network"

    page = write(results, QUICK, tmp_path, 120).read_text()

    assert "| (a) | over Portkey's | 5.00 x | ≥ 4.00 x | ≥ 8.00 x | reached | | |" in page
    assert "| chunks a second | Answerback | 24,000 /s | 22,000 to 25,000 |" in page
    assert "- LiteLLM: no network" in page
    assert "![Synchronous requests a second, one core](sync.svg)" in page


@pytest.mark.starts_processes
def test_targets_of_rates_and_times_are_shown_at_the_pace_of_the_machine_too(tmp_path: Path) -> None:
    results = compared(2000, PORTKEY_WHERE_SET / 2)
    results.aim("c", "accepts a second", 2500, 4500, 8000, "/s", more=True)
    results.aim("e", "POST until callback", 6, 2.5, 1.5, "ms", more=False)
    results.aim("h", "idle memory", 80, 70, None, "MiB", more=False)

    page = write(results, QUICK, tmp_path, 120).read_text()

    assert "| 2,500 /s | ≥ 4,500 /s | ≥ 8,000 /s | short | ≥ 2,250 /s | reached |" in page
    assert "| 6.00 ms | ≤ 2.50 ms | ≤ 1.50 ms | short | ≤ 5.00 ms | short |" in page
    assert "| 80.0 MiB | ≤ 70.0 MiB |  | short | | |" in page


@pytest.mark.starts_processes
def test_a_plot_has_a_bar_for_each_system_in_proportion(tmp_path: Path) -> None:
    write(compared(500, 100), QUICK, tmp_path, 120)

    drawn = ET.parse(tmp_path / "sync.svg").getroot()
    bars = [float(each.attrib["width"]) for each in drawn.iter("{http://www.w3.org/2000/svg}rect")][1:]

    assert bars == [400, 80]
    assert [path.name for path in tmp_path.glob("*.svg")] == ["sync.svg"]
