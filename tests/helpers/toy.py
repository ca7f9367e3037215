"""A kind of job in one file: it repeats what it is given."""

import json
from dataclasses import dataclass, replace

from answerback.jobs.kind import Claimed, Description, Effects, Ending, Event, Job, Queue, Unreadable
from answerback.jobs.outcome import Completed, Outcome
from answerback.kernel.errors import InvalidField
from answerback.kernel.retry import JOB_SCHEDULE, RetrySchedule


@dataclass(frozen=True, slots=True)
class Note:
    text: str


class EchoKind:
    name = "echo"
    queue = Queue.INTERACTIVE
    retries = JOB_SCHEDULE
    callback_retries: RetrySchedule | None = None

    def __init__(self) -> None:
        self.runs = 0

    def encode(self, args: Note) -> str:
        return json.dumps({"text": args.text})

    def decode(self, raw: str) -> Note:
        try:
            text = json.loads(raw)["text"]
        except (LookupError, TypeError, ValueError, RecursionError) as error:
            raise Unreadable(str(error)) from error
        if not isinstance(text, str):
            raise Unreadable("text is not a string")
        return Note(text)

    async def check(self, args: Note, tenant_id: str, conversation_key: str | None) -> None:
        if not args.text:
            raise InvalidField("text", "text must not be empty")

    async def run(self, claim: Claimed[Note]) -> Outcome:
        self.runs += 1
        return Completed({"text": claim.job.args.text})

    def effects(self, job: Job[Note | None], ending: Ending) -> Effects:
        data = {"job_id": job.id, "status": ending.state, "echo": ending.result and ending.result["text"]}
        said = () if job.args is None or ending.result is None else ({"type": "message", "text": job.args.text},)
        return Effects((Event(f"echo.{ending.state}", data),), said)

    def redact(self, args: Note) -> Note:
        return replace(args, text="")

    def describe(self, job: Job[Note], ending: Ending | None) -> Description:
        return Description({"length": len(job.args.text)}, {"text": job.args.text})
