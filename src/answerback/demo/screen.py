"""The demo's output: plain lines that read as well in a pipe as in colour."""

import io
import sys
import time
from collections.abc import Sequence

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from answerback.demo.ledger import Check, Entry, names

WIDTH = 100
STYLES = {
    "accepted": "cyan",
    "answered": "yellow",
    "delivered": "green",
    "repeated": "magenta",
    "recovered": "magenta",
    "remembered": "bold green",
    "waiting": "magenta",
    "KILLED": "bold red",
    "failed": "bold red",
    "REFUSED": "bold red",
}


def plain(text: str) -> str:
    """On one line, without anything that could move the cursor: some of it was written by a model."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())


class Screen:
    """Writes to stdout, at most `WIDTH` columns wide, each line as soon as it is known."""

    def __init__(self) -> None:
        if isinstance(sys.stdout, io.TextIOWrapper):
            sys.stdout.reconfigure(errors="replace")
        console = Console(highlight=False)
        console.width = min(WIDTH, console.width) if console.is_terminal else WIDTH
        self._console = console
        self._began = time.time()

    def say(self, text: str = "", style: str = "") -> None:
        self._console.print(Text(text, style))

    def command(self, text: str) -> None:
        """To be copied: a line is not broken."""
        self._console.print(Text(f"  {text}"), soft_wrap=True)

    def chapter(self, title: str) -> None:
        self.say()
        self.say(title, "bold")

    def step(self, what: str, who: str, text: str, at: float | None = None) -> None:
        """One thing that happened, `at` epoch seconds (now)."""
        seconds = max(0.0, (time.time() if at is None else at) - self._began)
        line = Text.assemble(
            (f"{seconds:6.2f} s  ", "dim"), (f"{what:<11}", STYLES.get(what, "")), f"{who:<8} ", plain(text)
        )
        self._console.print(line, no_wrap=True, overflow="ellipsis")

    def table(self, entries: Sequence[Entry]) -> None:
        table = Table(box=box.SIMPLE_HEAD, show_edge=False, width=self._console.width)
        table.add_column("message", no_wrap=True)
        table.add_column("answer", no_wrap=True, overflow="ellipsis", ratio=1)
        for column in ("LLM calls", "webhook-ids", "callbacks"):
            table.add_column(column, justify="right", no_wrap=True)
        table.add_column("delivered", no_wrap=True)
        for entry in entries:
            counts = (len(entry.llm_calls), len(entry.webhook_ids), len(entry.callbacks))
            answer = Text(plain(entry.failure or entry.answer or "none"))
            table.add_row(entry.name, answer, *map(str, counts), "yes" if entry.delivered else "no")
        self.say()
        self._console.print(table)
        self.say()

    def notes(self, entries: Sequence[Entry]) -> None:
        """Explains calls and callbacks that the table counts twice."""
        lost = [entry for entry in entries if "lost" in entry.llm_calls]
        if lost:
            self.say(f"  Asked again, as the kill cut the LLM off: {names(lost)}. Each has one answer all the same.")
        repeated = [entry for entry in entries if entry.repeated]
        if repeated:
            self.say(f"  Delivered twice with one webhook-id: {names(repeated)}. The kill came before the service")
            self.say("  could note the first delivery; a receiver drops the second by its id.")
        if lost or repeated:
            self.say()

    def checks(self, checks: Sequence[Check]) -> None:
        for check in checks:
            mark = ("  ok    ", "green") if check.kept else ("  FAILED  ", "bold red")
            self._console.print(Text.assemble(mark, plain(check.text)))

    def error(self, text: str) -> None:
        """Why the demo failed, with what explains it below; on stderr."""
        first, _, rest = text.partition("\n")
        console = Console(stderr=True, highlight=False, soft_wrap=True)
        console.print(Text(f"answerback demo: {plain(first)}", "bold red"))
        for line in rest.splitlines():
            console.print(Text(f"  {plain(line)}"))
