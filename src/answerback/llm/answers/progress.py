"""How far the choices of a streamed completion are, and which of them is the answer."""

from collections.abc import Mapping, Sequence

from answerback.kernel.json import Json
from answerback.kernel.provider_error import ProviderError
from answerback.llm.answers import completions
from answerback.llm.answers.finish_reasons import Finish, broken_off, classify, reason_of
from answerback.llm.answers.tool_calls import calls_tools

ANSWER = 0
"""The index of the answer, in the chunks of a stream of which one choice was asked for."""


class Progress:
    """Of one stream, for which as many choices were `asked`.

    Each choice has an `index`, from 0. Where only one was asked for, upstreams leave it out, begin at 1, or count their
    chunks with it: an index that rises at each chunk is still the same choice.
    """

    def __init__(self, *, asked: int) -> None:
        self._asked = asked
        self._several = asked > 1
        self._answer: int | None = None
        self._last = 0
        self._repeats = False
        self._rises = False
        self._goes_on = False
        self._ends_each_piece = False
        self._open: set[int] = set()
        self._ended: dict[int, Finish] = {}
        self.speaks = False
        """Whether a token came, or a reason why none will."""

    @property
    def begun(self) -> bool:
        return self._answer is not None

    def index_of(self, choice: Mapping[str, Json], of_answer: Sequence[Mapping[str, Json]]) -> Json:
        """The index of a choice that `note` has seen, apart from the others. The only one that was asked for has 0; an
        upstream's own 0 beside it gets the index that it had."""
        index = choice.get("index")
        if self._several:
            return index
        if any(choice is each for each in of_answer):
            return ANSWER
        return self._answer if index == ANSWER else index

    @property
    def keeps_zero(self) -> bool:
        """Whether what has the index 0 keeps it."""
        return self._several or self._answer in (None, ANSWER)

    @property
    def finished(self) -> bool:
        return bool(self._ended) and not self._open

    @property
    def complete(self) -> bool:
        """Whether nothing but the usage can follow: all that was asked for has ended, for certain, and does not go on
        after its end."""
        if not self._ended or self._open or len(self._ended) < self._asked:
            return False
        return self.speaks and not (self._goes_on or self._ends_each_piece or self.doubtful)

    @property
    def doubtful(self) -> bool:
        """Whether a choice ended with a word that may mean anything."""
        return Finish.UNKNOWN in self._ended.values()

    def note(self, choices: Sequence[Mapping[str, Json]]) -> Sequence[Mapping[str, Json]]:
        """The choices of one chunk that belong to the answer: the first choice that began. Raises ProviderError if the
        provider broke one off, or if it is not clear what belongs to which."""
        if len(choices) == 1:
            return choices if self._note(choices[0], 0, alone=True) else ()
        if len(choices) > 1 and not self._several:
            if self._rises:
                raise _mixed()
            # Side by side they differ by their index: chunks are not counted with it.
            self._repeats = True
        return [choice for position, choice in enumerate(choices) if self._note(choice, position, alone=False)]

    def note_text(self, choices: Sequence[Mapping[str, Json]]) -> bool:
        """As `note`, where one choice with the index 0 goes on with text: whether it belongs to the answer."""
        if self._answer == ANSWER == self._last and ANSWER not in self._ended:
            # Nearly always. All else is found out with care.
            self._repeats = self.speaks = True
            self._open.add(ANSWER)
            return True
        return bool(self.note(choices))

    def _note(self, choice: Mapping[str, Json], position: int, *, alone: bool) -> bool:
        index = choice.get("index")
        if not isinstance(index, int) or isinstance(index, bool):
            index = position or (self._last if self._answer is not None else 0)
        if self._answer is None:
            self._answer = self._last = index
            of_answer = True
        elif self._several or not alone:
            of_answer = index == self._answer
        else:
            of_answer = self._follows(index)
        self._finish(choice, self._answer if of_answer else index)
        return of_answer

    def _follows(self, index: int) -> bool:
        if index == self._last:
            self._repeats = True
            return True
        # What begins behind an end is another choice, unless chunks are known to be counted.
        if index > self._last and not self._repeats and (self._rises or self._answer not in self._ended):
            self._last, self._rises = index, True
            return True
        if self._rises:
            raise _mixed()
        return False

    def _finish(self, choice: Mapping[str, Json], index: int) -> None:
        word = reason_of(choice)
        finish = Finish.NONE if word is None else classify(word)
        if finish is Finish.FAILED:
            raise broken_off(word)
        if finish is not Finish.NONE:
            if index in self._ended and not self._goes_on and says(choice.get("delta")):
                self._ends_each_piece = True
            if self._ended.get(index, Finish.UNKNOWN) is Finish.UNKNOWN:
                self._ended[index] = finish
            self._open.discard(index)
            self._goes_on = False
        elif index not in self._ended:
            self._open.add(index)
        elif says(choice.get("delta")):
            self._goes_on = True
        self.speaks = self.speaks or finish in completions.WITHOUT_ANYTHING or says(choice.get("delta"))


def _mixed() -> ProviderError:
    return completions.invalid("mixes choices that were not asked for")


def says(delta: Json) -> bool:
    """Whether a delta holds anything of an answer. Raises ProviderError for content that is none."""
    return calls_tools(delta) or completions.says(delta)
