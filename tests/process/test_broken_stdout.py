"""A log whose reader has left, or whose terminal lacks characters."""

import os
import subprocess
import sys
import textwrap


class TestABrokenStdout:
    def run(self, body: str, encoding: str = "utf-8") -> "subprocess.Popen[str]":
        program = "import sys\nfrom answerback.observability import configure\n" + textwrap.dedent(body)
        # Buffered, as in most environments: what could not be written is tried once more at exit.
        environment = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
        return subprocess.Popen(
            [sys.executable, "-c", program],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**environment, "PYTHONIOENCODING": encoding},
        )

    def test_a_reader_that_left_does_not_take_the_service_down(self) -> None:
        child = self.run(
            """
            log = configure("INFO", "text")
            log.info("first")
            sys.stdin.read()
            for n in range(3000):
                log.info("nobody listens", n=n)
            sys.stderr.write("alive")
            """
        )
        assert child.stdout is not None
        assert "first" in child.stdout.readline()

        child.stdout.close()
        _, said = child.communicate("")

        assert (child.returncode, said) == (0, "alive")

    def test_characters_the_terminal_lacks_are_escaped(self) -> None:
        child = self.run('configure("INFO", "text").info("e", name="é", lone="\\ud800")', encoding="ascii")

        out, said = child.communicate()

        assert (child.returncode, said) == (0, "")
        assert "name=" in out
        assert "\\xe9" in out
