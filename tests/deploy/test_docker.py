"""The image and the fleet, checked without a Docker engine: a linter, the schema, and the build steps run for real."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DCLINT = "dclint@3"
STYLE_ONLY = (
    "service-keys-order",
    "services-alphabetical-order",
    "top-level-properties-order",
    "require-quotes-in-ports",
)


INSTALL_SECONDS = 600
"""Every package, beside other tests."""
UNCOMPILED = {**os.environ, "PIP_COMPILE": "0"}
"""Compiling them all takes pip longer than to install them."""


def run(*command: str, cwd: Path = ROOT, seconds: float = 120) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, cwd=cwd, env=UNCOMPILED, capture_output=True, text=True, timeout=seconds, check=False
    )


def test_a_linter_finds_nothing_in_the_dockerfile() -> None:
    linted = run(str(Path(sys.executable).with_name("hadolint")), "Dockerfile")

    assert (linted.returncode, linted.stdout) == (0, "")


@pytest.fixture(scope="module")
def dclint(request: pytest.FixtureRequest) -> Path:
    """A linter that checks compose files against the Compose specification's schema."""
    assert request.config.cache is not None
    folder = request.config.cache.mkdir("dclint-3")
    program = folder / "node_modules" / ".bin" / "dclint"
    if not program.exists():
        if shutil.which("npm") is None:
            pytest.skip("the compose file is checked with npm's dclint: install Node")
        command = ("npm", "install", "--prefix", str(folder), "--no-audit", "--no-fund", "--ignore-scripts", DCLINT)
        try:
            installed = run(*command, seconds=INSTALL_SECONDS)
        except subprocess.TimeoutExpired:
            pytest.skip(f"npm did not install {DCLINT} within {INSTALL_SECONDS} s")
        if installed.returncode:
            pytest.skip(f"npm cannot install {DCLINT} here")
    return program


class TestCompose:
    def test_it_follows_the_schema_and_good_practice(self, dclint: Path) -> None:
        rules = [part for rule in STYLE_ONLY for part in ("--disable-rule", rule)]

        linted = run(str(dclint), "compose.yaml", "--max-warnings", "0", *rules)

        assert linted.returncode == 0, linted.stdout

    def test_a_misspelt_key_would_be_found(self, dclint: Path, tmp_path: Path) -> None:
        text = (ROOT / "compose.yaml").read_text(encoding="utf-8")
        (tmp_path / "compose.yaml").write_text(text.replace("command: [worker]", "comand: [worker]"), encoding="utf-8")

        linted = run(str(dclint), str(tmp_path / "compose.yaml"), "-f", "json")

        assert linted.returncode != 0
        assert "additional properties" in json.dumps(json.loads(linted.stdout))


@pytest.mark.timeout(INSTALL_SECONDS)
class TestInstallSteps:
    """The instructions of the build stage, in order, with its absolute folders moved into an empty one."""

    def test_they_end_in_a_working_command(self, tmp_path: Path) -> None:
        install(tmp_path)

        said = run(str(tmp_path / "opt/answerback/bin/answerback"), "--help", cwd=tmp_path)

        assert said.returncode == 0, said.stderr
        assert "serve" in said.stdout
        drivers = "import asyncpg, celery, redis, opentelemetry.sdk; import answerback.database as s; print(s.__file__)"
        imported = run(str(tmp_path / "opt/answerback/bin/python"), "-c", drivers, cwd=tmp_path)
        assert imported.stdout.startswith(str(tmp_path)), imported.stderr


def install(root: Path) -> None:
    """Repeats the build stage of the Dockerfile under `root`."""
    folder = root
    for instruction, rest in build_stage():
        match instruction:
            case "WORKDIR":
                folder = root / rest.lstrip("/")
                folder.mkdir(parents=True)
            case "COPY":
                *sources, target = rest.split()
                for source in sources:
                    copy(ROOT / source, folder / target)
            case "RUN":
                moved = rest.replace("/opt/answerback", str(root / "opt/answerback"))
                steps = run("sh", "-euc", moved, cwd=folder, seconds=INSTALL_SECONDS)
                assert steps.returncode == 0, steps.stdout + steps.stderr
            case _:
                assert instruction == "FROM"


def build_stage() -> list[tuple[str, str]]:
    text = re.sub(r"\\\n\s*", "", (ROOT / "Dockerfile").read_text(encoding="utf-8"))
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    stages = [number for number, line in enumerate(lines) if line.startswith("FROM ")]
    return [(line.split(" ", 1)[0], line.split(" ", 1)[1]) for line in lines[: stages[1]]]


def copy(source: Path, target: Path) -> None:
    if source.is_dir():
        shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
    else:
        shutil.copy(source, target)
