"""How a callback reads, to the byte; and how it is signed while secrets change."""

import pytest

from answerback.jobs.callbacks import render
from answerback.jobs.cancel import CANCELLED
from answerback.jobs.model import Ending, Job, JobKind, JobState, Message
from answerback.jobs.recover import EXPIRED
from answerback.jobs.store import SqlStore
from answerback.llm.model import Answer
from answerback.testing.clock import FakeClock
from answerback.webhooks import signature
from answerback.webhooks.signer import FRESH_SECONDS, Signer
from builders import TENANT, URL, completed, failed

CREATED = 1_750_000_000_123
ENDED = 1_750_000_002_000
TIMES = '"created_at": "2025-06-15T15:06:40.123Z", "completed_at": "2025-06-15T15:06:42.000Z"'


def job(message: Message, seq: int | None = 3) -> Job:
    return Job("job_1", TENANT, JobKind.MESSAGE, 1, seq, message, URL, CREATED, CREATED + 1)


def test_a_completed_job() -> None:
    message = Message("hi", session_id="s", metadata={"order": 7})

    assert render(job(message), completed("hello"), ENDED).decode() == (
        '{"job_id": "job_1", "status": "completed", "response": "hello", "session_id": "s", "seq": 3, '
        '"model": "model-1", "usage": {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}, '
        '"metadata": {"order": 7}, ' + TIMES + "}"
    )


@pytest.mark.parametrize(
    ("ending", "status", "code", "text"),
    [
        (failed(), "failed", "upstream_error", "the LLM is not well"),
        (CANCELLED, "cancelled", "cancelled", "cancelled by its sender"),
        (
            Ending(JobState.EXPIRED, failure=EXPIRED),
            "expired",
            "expired",
            "no answer came before the deadline",
        ),
    ],
)
def test_a_job_without_an_answer(ending: Ending, status: str, code: str, text: str) -> None:
    assert render(job(Message("hi", session_id="s", model="asked-for")), ending, ENDED).decode() == (
        f'{{"job_id": "job_1", "status": "{status}", "response": null, "session_id": "s", "seq": 3, '
        f'"model": "asked-for", "usage": null, "metadata": null, {TIMES}, '
        f'"error": {{"code": "{code}", "message": "{text}"}}}}'
    )


def test_a_stateless_job_without_usage() -> None:
    ending = Ending(JobState.COMPLETED, answer=Answer("hello", "m", None, None))

    assert render(job(Message("hi", stateless=True), seq=None), ending, ENDED).decode() == (
        '{"job_id": "job_1", "status": "completed", "response": "hello", "session_id": null, "seq": null, '
        '"model": "m", "usage": null, "metadata": null, ' + TIMES + "}"
    )


def test_other_scripts_are_not_escaped() -> None:
    body = render(job(Message("hi", session_id="Gespräch", metadata={"ключ": "値"})), completed("Grüße 🌍"), ENDED)

    for text in ("Gespräch", "ключ", "値", "Grüße 🌍"):
        assert text.encode() in body
    assert b"\\u" not in body


async def signed(signer: Signer) -> int:
    return len((await signer.headers("tenant", "msg_1", 1_000, b"{}"))["webhook-signature"].split())


async def test_a_rotation_elsewhere_is_noticed_within_moments(store: SqlStore, clock: FakeClock) -> None:
    signer = Signer(store, None, clock)
    assert await signed(signer) == 1

    new = await store.rotate_secret()
    clock.advance(FRESH_SECONDS - 0.001)
    assert await signed(signer) == 1
    clock.advance(0.001)

    made = await signer.headers("tenant", "msg_1", clock.now(), b"{}")
    assert made == signature.headers("msg_1", clock.now() // 1000, b"{}", await store.callback_secrets(None))
    assert made["X-Signature"] == signature.headers("x", 1, b"{}", [new])["X-Signature"]
    clock.advance(86_400)
    assert await signed(signer) == 1


async def test_the_configured_secret_signs_first(store: SqlStore, clock: FakeClock) -> None:
    await store.callback_secrets(None)

    made = await Signer(store, "configured", clock).headers("tenant", "msg_1", clock.now(), b"{}")

    assert made["X-Signature"] == signature.headers("x", 1, b"{}", ["configured"])["X-Signature"]
    assert len(made["webhook-signature"].split()) == 2
