"""The tools that start the service in a process of its own, kill it on order, and stop it."""

import asyncio
import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest

from answerback.kernel.failpoints import Failpoint
from answerback.testing.faults import Fault, kill_at
from answerback.testing.service import HOST, Service, ServiceError

STAND_IN = """
import asyncio, os, signal, sys

async def answer(reader, writer):
    path = (await reader.readline()).split()[1]
    body = str(sorted(os.environ)) if path == b"/env" else os.getcwd()
    writer.write(f"HTTP/1.1 200 OK\\r\\nconnection: close\\r\\n\\r\\n{body}".encode())
    await writer.drain()
    writer.close()

async def main():
    if "BROKEN" in os.environ:
        sys.exit("SECRET_THING is wrong")
    done = asyncio.Event()
    if "STUBBORN" in os.environ:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    else:
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, done.set)
    if "MUTE" in os.environ:
        print("listening", flush=True)
        await done.wait()
    server = await asyncio.start_server(answer, os.environ["APP_HOST"], int(os.environ["APP_PORT"]))
    print('{"event":"listening"}', flush=True)
    await done.wait()
    print("bye", flush=True)

asyncio.run(main())
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where a stand-in for the service lies: it answers every GET with 200."""
    (tmp_path / "stand_in.py").write_text(STAND_IN)
    return tmp_path


@pytest.fixture
def stand_in(folder: Path) -> Iterator[Service]:
    service = Service({"MOCK_DELAY_SECONDS": "0"}, folder=folder, module=("stand_in",))
    yield service
    assert not service.running


async def get(service: Service, path: str) -> str:
    reader, writer = await asyncio.open_connection(HOST, service.port)
    writer.write(f"GET {path} HTTP/1.1\r\nhost: h\r\n\r\n".encode())
    answer = await reader.read()
    writer.close()
    return answer.decode().partition("\r\n\r\n")[2]


async def accept(service: Service) -> str:
    """Posts a message; the status line, empty when the service died over it."""
    body = b'{"message": "hello", "callback_url": "http://127.0.0.1:9/", "stateless": true}'
    reader, writer = await asyncio.open_connection(HOST, service.port)
    head = f"POST /webhook HTTP/1.1\r\nhost: localhost\r\ncontent-length: {len(body)}\r\n\r\n"
    writer.write(head.encode() + body)
    try:
        return (await reader.readline()).decode()
    except ConnectionResetError:
        return ""
    finally:
        writer.close()


class TestFaults:
    def run(self, body: str) -> "subprocess.CompletedProcess[str]":
        program = (
            "from answerback.testing.faults import kill_at\nfrom answerback.kernel.failpoints import Failpoint\n"
            + textwrap.dedent(body)
        )
        return subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)

    def test_the_process_dies_at_the_nth_time_of_its_failpoint_and_at_no_other(self) -> None:
        ended = self.run(
            """
            failpoint = kill_at(Failpoint.AFTER_CLAIM, 3)
            for n in range(1, 5):
                failpoint(Failpoint.AFTER_FINISH)
                print(n, flush=True)
                failpoint(Failpoint.AFTER_CLAIM)
            """
        )

        assert ended.returncode == -signal.SIGKILL
        assert ended.stdout.split() == ["1", "2", "3"]

    def test_other_failpoints_do_nothing(self) -> None:
        failpoint = kill_at(Failpoint.AFTER_CLAIM)

        for other in set(Failpoint) - {Failpoint.AFTER_CLAIM}:
            failpoint(other)

    def test_counting_starts_at_one(self) -> None:
        with pytest.raises(ValueError, match="from 1"):
            kill_at(Failpoint.AFTER_CLAIM, 0)

    def test_the_command_line_names_failpoint_and_count(self) -> None:
        fault = Fault(Failpoint.BEFORE_CALLBACK, 2)

        assert fault.arguments() == ["answerback.testing.faults", "--at", "before_callback", "--nth", "2"]

    def test_an_unknown_failpoint_is_refused_with_the_known_ones(self) -> None:
        ended = subprocess.run(
            [sys.executable, "-m", "answerback.testing.faults", "--at", "lunch"],
            capture_output=True,
            text=True,
            check=False,
        )

        assert ended.returncode == 2
        assert "after_claim" in ended.stderr
        assert "Warning" not in ended.stderr


class TestService:
    async def test_it_answers_once_started_and_is_gone_at_the_end(self, stand_in: Service) -> None:
        async with stand_in as service:
            assert service.running
            assert await get(service, "/") == str(service.folder)
            pid = service.pid

        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)
        with pytest.raises(ConnectionRefusedError):
            await get(service, "/")

    async def test_nothing_of_our_environment_reaches_it(
        self, stand_in: Service, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("OPENAI_API_KEY", "real")
        async with stand_in as service:
            names = await get(service, "/env")

        assert "OPENAI_API_KEY" not in names
        assert all(f"'{name}'" in names for name in ("APP_PORT", "DATABASE_URL", "MOCK_DELAY_SECONDS", "PATH"))

    async def test_killed_and_started_again_it_has_the_same_port_and_folder(self, stand_in: Service) -> None:
        async with stand_in as service:
            url, first = service.url, service.pid
            await service.kill()
            assert not service.running
            assert await service.exited() == -signal.SIGKILL

            await service.start()

            assert service.url == url
            assert service.pid != first
            assert await get(service, "/") == str(service.folder)
            assert service.logs.count("listening") == 2

    async def test_its_port_is_nobody_elses_while_it_is_down(self, folder: Path) -> None:
        services = [Service(folder=folder, module=("stand_in",)) for _ in range(50)]

        assert len({service.port for service in services}) == 50

    async def test_terminated_it_says_its_last(self, stand_in: Service) -> None:
        async with stand_in as service:
            assert await service.terminate() == 0

            assert service.logs.endswith("bye\n")

    async def test_a_service_that_will_not_stop_is_killed(self, folder: Path) -> None:
        async with Service({"STUBBORN": "1"}, folder=folder, module=("stand_in",)) as service:
            with pytest.raises(ServiceError, match=r"did not stop within 0\.1 s"):
                await service.terminate(timeout=0.1)

            assert not service.running

    async def test_frozen_it_is_silent_and_thawed_it_answers(self, stand_in: Service) -> None:
        async with stand_in as service:
            service.stop()
            asked = asyncio.create_task(get(service, "/"))
            done, _ = await asyncio.wait([asked], timeout=0.1)
            assert not done

            service.cont()

            assert await asked == str(service.folder)

    async def test_frozen_it_can_still_be_terminated(self, stand_in: Service) -> None:
        async with stand_in as service:
            service.stop()

            assert await service.terminate() == 0

    async def test_one_that_ends_at_once_is_reported_with_its_log(self, folder: Path) -> None:
        service = Service({"BROKEN": "1"}, folder=folder, module=("stand_in",))

        with pytest.raises(ServiceError, match="ended with code 1 before it was ready\nSECRET_THING is wrong"):
            await service.__aenter__()

        assert not service.running

    async def test_one_that_never_gets_ready_is_given_up_and_killed(self, folder: Path) -> None:
        service = Service({"MUTE": "1"}, folder=folder, module=("stand_in",), timeout=4.0)

        with pytest.raises(ServiceError, match=r"not ready within 4 s\nlistening"):
            await service.start()

        assert not service.running

    async def test_it_cannot_be_started_twice_nor_signalled_when_down(self, stand_in: Service) -> None:
        with pytest.raises(ServiceError, match="not running"):
            stand_in.stop()
        async with stand_in as service:
            with pytest.raises(ServiceError, match="running already"):
                await service.start()

    async def test_a_temporary_folder_goes_with_it(self) -> None:
        service = Service(module=("no_such_module_here",))
        folder = service.folder

        with pytest.raises(ServiceError, match="No module named no_such_module_here"):
            async with service:
                pass

        assert not folder.exists()

    def test_one_left_behind_ends_with_its_parent(self, folder: Path) -> None:
        leaving = textwrap.dedent(
            f"""
            import asyncio, pathlib, sys
            from answerback.testing.service import Service

            async def main():
                service = Service(folder=pathlib.Path({str(folder)!r}), module=("stand_in",))
                await service.start()
                print(service.pid)

            asyncio.run(main())
            """
        )

        ended = subprocess.run([sys.executable, "-c", leaving], capture_output=True, text=True, check=False)

        assert ended.returncode == 0
        with pytest.raises(ProcessLookupError):
            os.kill(int(ended.stdout), 0)


@pytest.mark.usefixtures("started_afresh")
class TestTheRealService:
    async def test_it_starts_answers_and_stops(self) -> None:
        async with Service({"MOCK_DELAY_SECONDS": "0"}) as service:
            assert service.database.exists()
            await service.until_logged(f'"url":"{service.url}"')

            assert await service.terminate() == 0

    @pytest.mark.parametrize("nth", [1, 2])
    async def test_a_fault_strikes_once(self, nth: int) -> None:
        async with Service({"MOCK_DELAY_SECONDS": "0"}, fault=Fault(Failpoint.AFTER_ACCEPT, nth)) as service:
            answers = [await accept(service) for _ in range(nth)]
            assert await service.exited() == -signal.SIGKILL
            assert [answer.partition(" ")[2][:3] for answer in answers] == ["202"] * (nth - 1) + [""]

            await service.start()

            assert "202" in await accept(service)

    async def test_a_wrong_setting_is_named_at_the_start(self) -> None:
        service = Service({"LOG_FORMAT": "xml"})

        with pytest.raises(ServiceError, match="LOG_FORMAT is 'xml' but should be"):
            await service.__aenter__()

    async def test_a_wrong_setting_is_named_with_a_fault_too(self) -> None:
        service = Service({"LOG_FORMAT": "xml"}, fault=Fault(Failpoint.AFTER_ACCEPT))

        with pytest.raises(ServiceError, match=r"ended with code 2 .*\n.*LOG_FORMAT is 'xml' but should be"):
            await service.__aenter__()
