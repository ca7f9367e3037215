"""The short form of the chaos suite, as `make chaos QUICK=1` runs it, but with forked processes."""

import sys

import pytest

from answerback.testing.backends import BackendUnavailable
from chaos.__main__ import main
from servers import missing

NOT_HERE = 2
"""The exit code where PostgreSQL or Redis is not installed; the last line says which."""


@pytest.mark.timeout(400)
def test_what_was_promised_holds_while_processes_die(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", ["chaos", "--quick"])

    code = main()

    printed, said = capsys.readouterr()
    if code == NOT_HERE:
        missing(BackendUnavailable(said.strip()))
    with capsys.disabled():
        sys.stderr.write(f"\n{printed}")
    assert code == 0, printed + said
