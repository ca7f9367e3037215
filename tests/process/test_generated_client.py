"""A Python client that a public generator makes of the OpenAPI document, used against the running service."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from relay import Client, Relay

from isolated import uvx

GENERATOR = "openapi-python-client==0.29.1"
"""In an environment of its own, which also has what its clients import."""

PROGRAM = """
import json, sys, time

from generated.api.jobs import get_job, list_jobs
from generated.api.webhook_relay import create_message
from generated.client import AuthenticatedClient
from generated.models import AcceptedMessage, JobDetails, JobState, Problem, WebhookMessage

url, key, callback_url = sys.argv[1:]
client = AuthenticatedClient(base_url=url, token=key, raise_on_unexpected_status=True)
accepted = create_message.sync(
    client=client, body=WebhookMessage(message="hello", callback_url=callback_url, session_id="generated")
)
assert isinstance(accepted, AcceptedMessage), accepted
job = get_job.sync(accepted.job_id, client=client)
while job.status in (JobState.QUEUED, JobState.RUNNING):
    time.sleep(0.05)
    job = get_job.sync(accepted.job_id, client=client)
assert isinstance(job, JobDetails), job
page = list_jobs.sync(client=client, limit=1)
missing = get_job.sync("job_nothing", client=client)
assert isinstance(missing, Problem), missing
listed = [each.job_id for each in page.items]
said = {"job": accepted.job_id, "status": job.status, "session": job.session_id, "listed": listed}
print(json.dumps({**said, "missing": missing.error.code}))
"""


@pytest_asyncio.fixture(loop_scope="session", scope="module")
async def document(relay: Relay) -> Any:
    return await relay.client().get("/openapi.json")


@pytest.fixture(scope="module")
def folder(document: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that holds the generated package."""
    folder = tmp_path_factory.mktemp("client")
    (folder / "openapi.json").write_text(json.dumps(document))
    (folder / "config.yaml").write_text("post_hooks: []\n")
    (folder / "program.py").write_text(PROGRAM)
    command = ("generate", "--path", "openapi.json", "--output-path", "generated", "--meta", "none")
    options = ("--config", "config.yaml", "--fail-on-warning")
    ran = uvx("--from", GENERATOR, "openapi-python-client", *command, *options, cwd=folder)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return folder


def test_every_operation_is_a_module_with_its_name(folder: Path, document: Any) -> None:
    made = {path.stem for path in (folder / "generated" / "api").glob("*/*.py")} - {"__init__"}

    assert made == {each["operationId"] for item in document["paths"].values() for each in item.values()}


async def test_it_sends_a_message_and_reads_the_job_and_an_error(folder: Path, client: Client) -> None:
    program = ("--from", GENERATOR, "python", "program.py")
    arguments = (client.relay.service.url, str(client.key), client.callback_url)

    ran = await asyncio.to_thread(uvx, *program, *arguments, cwd=folder)

    assert ran.returncode == 0, ran.stderr
    said = json.loads(ran.stdout)
    assert (said["status"], said["session"], said["missing"]) == ("completed", "generated", "not_found")
    assert said["listed"] == [said["job"]]
