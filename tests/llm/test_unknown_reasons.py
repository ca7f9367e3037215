"""A `finish_reason` of no known meaning is logged, once a word, and never more words than a log can bear."""

from answerback.kernel.instruments import Instruments
from answerback.llm.model import Answer, ChatRequest
from answerback.llm.observed import MOST_UNKNOWN_WORDS, ObservedProvider
from answerback.llm.reply import WholeReply
from builders import Journal

REQUEST = ChatRequest({"messages": []}, 10)


class Saying:
    """Answers with each word in turn."""

    name = "odd"

    def __init__(self, *words: str) -> None:
        self._words = list(words)

    async def send(self, request: ChatRequest) -> WholeReply:
        choice = {"message": {"content": "an answer"}, "finish_reason": self._words.pop(0)}
        return WholeReply(b"{}", {"choices": [choice]}, "m")


async def logged(*words: str) -> list[object]:
    journal = Journal()
    provider = ObservedProvider(Saying(*words), "m", Instruments(journal))  # type: ignore[arg-type]
    answers: list[Answer] = []
    for _ in words:
        reply = await provider.send(REQUEST)
        assert isinstance(reply, WholeReply)
        answers.append(reply.answer())
    assert {answer.finish_reason for answer in answers} == {"stop"}
    return [fields["word"] for event, fields in journal.lines if event == "finish_reason_unknown"]


async def test_each_unknown_word_is_logged_once() -> None:
    assert await logged("stop", "its_own", "its_own", "eos", "another\n", "its_own") == ["its_own", "another?"]


async def test_an_upstream_cannot_fill_the_log_with_words() -> None:
    assert len(await logged(*(f"word{n}" for n in range(MOST_UNKNOWN_WORDS + 5)))) == MOST_UNKNOWN_WORDS
