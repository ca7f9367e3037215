"""A response made of a completion that came whole."""

from answerback.llm.answers import thoughts
from answerback.llm.answers.choices import as_delta, text_in
from answerback.llm.model import FinishReason, storable
from answerback.llm.reply import WholeReply
from answerback.responses import ids
from answerback.responses.answers.answer import Answer
from answerback.responses.answers.end import ended, finish_of, status_of
from answerback.responses.answers.output import message_item, text_part
from answerback.responses.body import Progress, Start
from answerback.responses.model import Asked, Item

MORE_THAN_TEXT = ("tool_calls", "function_call", "refusal", "annotations", "thinking", *thoughts.SENT_BACK)
"""Fields of a message that may hold something else than its text."""


def whole_response(start: Start, asked: Asked, reply: WholeReply, now: int) -> Progress:
    """The response at its end, which is `now`, in epoch milliseconds. Raises ProviderError."""
    finish = finish_of(reply)
    return ended(start, reply, finish, _output(start, asked, reply, finish), reply.document.get("usage"), now)


def _output(start: Start, asked: Asked, reply: WholeReply, finish: FinishReason) -> list[Item]:
    choice = reply.document["choices"][0]
    message = choice["message"]
    text = message.get("content")
    if isinstance(text, str) and text and not (asked.logprobs or any(map(message.get, MORE_THAN_TEXT))):
        # Most answers, and a tenth of the work.
        item_id = ids.item_id(start.id, "message", ids.OUTPUT, 0)
        return [message_item(item_id, status_of(finish), [text_part(storable(text))])]
    answer, choice = Answer(start.id, asked, start.toolbox), as_delta(choice)
    for _ in answer.say(choice["delta"], storable(text_in(choice)), choice.get("logprobs")):
        continue
    for _ in answer.end(finish):
        continue
    return answer.output
