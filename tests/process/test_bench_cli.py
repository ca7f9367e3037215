"""`answerback bench`: the command as its user runs it, against a scripted LLM."""

import csv
import signal
import xml.etree.ElementTree as ET
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

import pytest

from answerback.testing import replies
from answerback.testing.llm import FakeLLM
from forks import Command, Ended, Forks

pytestmark = pytest.mark.asyncio(loop_scope="function")

MODELS = ("vendor/large", "vendor/small")
SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture
async def llm() -> AsyncIterator[FakeLLM]:
    async with FakeLLM(models=MODELS) as server:
        yield server


class Shell:
    """Runs the command in a folder of its own."""

    def __init__(self, forks: Forks, folder: Path, settings: Mapping[str, str]) -> None:
        self.folder = folder
        self._forks = forks
        self._settings = settings

    async def start(self, *arguments: str, **more: str) -> Command:
        return await self._forks.start(["answerback", "bench", *arguments], self.folder, {**self._settings, **more})

    async def run(self, *arguments: str, **more: str) -> Ended:
        return await (await self.start(*arguments, **more)).end()

    def only(self, suffix: str) -> Path:
        (path,) = (self.folder / "benchmarks").glob(f"*{suffix}")
        return path

    def rows(self) -> list[dict[str, str]]:
        with self.only(".csv").open(encoding="utf-8", newline="") as file:
            return list(csv.DictReader(file))


@pytest.fixture
def shell(forks: Forks, llm: FakeLLM, tmp_path: Path) -> Shell:
    (tmp_path / "prompts.txt").write_text("first\n=1+1\n\n<b>third</b>\n", encoding="utf-8")
    return Shell(forks, tmp_path, {"OPENROUTER_BASE_URL": llm.base_url, "MAX_RETRIES": "0"})


def compare(*more: str) -> tuple[str, ...]:
    return ("prompts.txt", "-m", MODELS[0], "-m", MODELS[1], *more)


async def test_models_are_compared_side_by_side(shell: Shell, llm: FakeLLM) -> None:
    llm.on("=1+1", replies.status(400))

    code, out, _ = await shell.run(*compare("--runs", "2", "--max-tokens", "7"))

    assert code == 0
    assert {(call.model, call.user, call.body["max_tokens"], call.streamed) for call in llm.calls} == {
        (model, prompt, 7, True) for model in MODELS for prompt in ("first", "=1+1", "<b>third</b>")
    }
    cells = {line[:26].strip(): line[26:].split() for line in out.splitlines()}
    assert any(line.split() == list(MODELS) for line in out.splitlines())
    assert (cells["calls"], cells["failed"], cells["retries"]) == (["6", "6"], ["2", "2"], ["0", "0"])
    for measure in (
        "latency avg",
        "latency std dev",
        "latency p95",
        "time to first token avg",
        "tokens per second avg",
    ):
        assert all(float(value.replace(",", "")) >= 0 for value in cells[measure])
        assert len(cells[measure]) == 2
    assert f"{MODELS[0]}: 2 failed with upstream_refused: " in out
    assert str(shell.only(".csv").name) in out
    assert str(shell.only(".svg").name) in out


async def test_every_run_is_in_the_file_and_every_model_in_the_plot(shell: Shell) -> None:
    code, _, _ = await shell.run(*compare("--runs", "2"))

    assert code == 0
    rows = shell.rows()
    assert sorted({(row["model"], row["prompt"]) for row in rows}) == sorted(
        (model, prompt) for model in MODELS for prompt in ("first", "'=1+1", "<b>third</b>")
    )
    assert len(rows) == 12
    plot = ET.parse(shell.only(".svg")).getroot()
    texts = [element.text for element in plot.iter(f"{SVG}text")]
    assert [texts.count(model) for model in MODELS] == [3, 3]
    assert {"Latency (ms)", "Time to first token (ms)", "Tokens per second (1/s)"} <= set(texts)


async def test_progress_is_shown_on_a_terminal(shell: Shell) -> None:
    _, _, watched = await shell.run(*compare("--runs", "1"), TTY_COMPATIBLE="1", COLUMNS="100", TERM="xterm")
    _, _, piped = await shell.run(*compare("--runs", "1"))

    assert all(model in watched for model in MODELS)
    assert "3/3" in watched
    assert piped == ""


async def test_without_anything_the_mock_is_measured_and_says_so(forks: Forks, tmp_path: Path) -> None:
    code, out, _ = await Shell(forks, tmp_path, {"MOCK_DELAY_SECONDS": "0"}).run()

    assert code == 0
    assert "The mock provider answered" in out
    assert "3 prompts, 5 runs each" in out


async def test_when_nothing_was_answered_the_exit_code_says_so(shell: Shell, llm: FakeLLM) -> None:
    llm.on(lambda _: True, replies.status(500))

    code, out, _ = await shell.run(*compare("--runs", "1"))

    assert code == 1
    assert "3 failed with upstream_error: the upstream failed with 500" in out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("missing.txt",), "missing.txt cannot be read"),
        (("prompts.txt", "-m", "nobody/knows"), "there is no model 'nobody/knows'"),
        (("empty.txt",), "empty.txt: holds no prompt"),
        (("large.txt",), "large.txt: is larger than 1048576 bytes"),
        (("prompts.txt", "--runs", "0"), "--runs"),
        (("many.txt", "--runs", "100"), "at most 10,000"),
    ],
)
async def test_what_cannot_be_done_is_said_in_a_line(
    shell: Shell, llm: FakeLLM, arguments: tuple[str, ...], words: str
) -> None:
    (shell.folder / "empty.txt").write_text("\n \n")
    (shell.folder / "many.txt").write_text("x\n" * 101)
    (shell.folder / "large.txt").write_bytes(b"x" * (1024 * 1024 + 1))

    code, out, err = await shell.run(*arguments)

    assert (code, llm.total) == (2, 0)
    assert words in err
    assert "Traceback" not in out + err


async def test_stopping_it_keeps_what_was_measured(shell: Shell, llm: FakeLLM) -> None:
    llm.on("<b>third</b>", replies.hang())
    process = await shell.start("prompts.txt", "-m", MODELS[0], "--runs", "1")
    await llm.wait_for_calls(3, timeout=30)

    process.send_signal(signal.SIGINT)
    code, out, err = await process.end()

    assert code == 130
    assert "Stopped. The runs that ended are in benchmarks" in out
    assert "Traceback" not in out + err
    assert {row["prompt"] for row in shell.rows()} <= {"first", "'=1+1"}
