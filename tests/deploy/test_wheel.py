"""The wheel, by the pinned build backend: whole, and a command where the source is not."""

import os
import subprocess
import sys
import venv
import zipfile
from email import message_from_bytes
from email.message import Message
from pathlib import Path

import pytest

from answerback import __version__
from isolated import uvx

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src"
NAME = f"answerback-{__version__}"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.Path:
    folder = tmp_path_factory.mktemp("dist")
    build = (sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(folder))
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
    (file,) = folder.iterdir()
    return zipfile.Path(file)


@pytest.fixture
def metadata(wheel: zipfile.Path) -> Message:
    return message_from_bytes(wheel.root.read(f"{NAME}.dist-info/METADATA"))


def test_it_has_every_file_of_the_source_and_nothing_else(wheel: zipfile.Path) -> None:
    packed = {name for name in wheel.root.namelist() if ".dist-info/" not in name and not name.endswith("/")}

    source = (file for file in SOURCE.rglob("*") if file.is_file() and "__pycache__" not in file.parts)
    assert packed == {file.relative_to(SOURCE).as_posix() for file in source}
    assert "answerback/py.typed" in packed


def test_it_says_what_it_is_by_whom_and_under_which_licence(wheel: zipfile.Path, metadata: Message) -> None:
    assert metadata["Version"] == __version__
    assert (metadata["License-Expression"], metadata["Author"]) == ("MIT", "Answerback contributors")
    licence = next(name for name in wheel.root.namelist() if name.endswith("/licenses/LICENSE"))
    assert "Answerback contributors" in wheel.root.read(licence).decode()
    assert metadata["Description-Content-Type"] == "text/markdown"
    assert metadata["Requires-Python"] == ">=3.11"
    assert {"Summary", "Keywords", "Classifier"} <= set(metadata.keys())


def test_installed_into_an_environment_of_its_own_it_is_a_command(wheel: zipfile.Path, tmp_path: Path) -> None:
    # Given an environment that has the wheel, and its dependencies from here
    environment = tmp_path / "environment"
    venv.create(environment, symlinks=True)
    python = environment / "bin" / "python"
    (packages,) = environment.glob("lib/python*/site-packages")
    wheel.root.extractall(packages)
    (packages / "dependencies.pth").write_text("\n".join(path for path in sys.path if path.endswith("site-packages")))
    assert "answerback = answerback.__main__:main" in (packages / f"{NAME}.dist-info/entry_points.txt").read_text()
    # When it runs elsewhere
    run = (str(python), "-m", "answerback", "--version")
    bare = {"PATH": os.environ["PATH"]}
    said = subprocess.run(run, cwd=tmp_path, env=bare, capture_output=True, text=True, check=True)

    assert said.stdout == f"answerback {__version__}\n"
    where = (str(python), "-c", "import answerback; print(answerback.__file__)")
    imported = subprocess.run(where, cwd=tmp_path, env=bare, capture_output=True, text=True, check=True)
    assert imported.stdout.startswith(str(packages))


@pytest.mark.timeout(400)
def test_uvx_runs_its_demo_where_nothing_is_installed(wheel: zipfile.Path, tmp_path: Path) -> None:
    # Given an environment that uv makes of the wheel and the locked versions of what it requires
    command = (
        "--from",
        str(wheel.root.filename),
        "--constraints",
        str(ROOT / "requirements.lock"),
        "answerback",
        "demo",
    )

    ran = uvx(*command, cwd=tmp_path)

    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "10 callbacks, every signature verified" in ran.stdout
    assert "FAIL" not in ran.stdout
