"""Tools that stand among the items of an input are offered from there on."""

from typing import Any

import pytest

from answerback.http.openai_errors import UnsupportedValue
from answerback.kernel.errors import InvalidField
from answerback.responses.model import Asked
from answerback.responses.request import asked
from answerback.responses.tools.toolbox import Toolbox

HI: Any = {"role": "user", "content": "hi"}
FIND: Any = {"type": "function", "name": "find", "description": "Finds."}
SEND: Any = {"type": "function", "name": "send"}


def added(*tools: Any) -> Any:
    return {"type": "additional_tools", "role": "developer", "tools": list(tools)}


def offered(request: Asked) -> dict[str, Any]:
    made = Toolbox.of(request.parameters, request.input)
    return {each["function"]["name"]: each["function"].get("description") for each in made.functions}


def test_they_stand_behind_those_of_the_request() -> None:
    request = asked({"input": [HI, added(SEND)], "tools": [FIND]})

    assert list(offered(request)) == ["find", "send"]
    assert [each["name"] for each in Toolbox.of(request.parameters, request.input).echoed] == ["find"]


def test_the_newest_of_a_name_counts_and_those_of_the_request_before_all() -> None:
    again, other = {**SEND, "description": "Sends."}, {**FIND, "description": "Looks."}

    request = asked({"input": [added(SEND), HI, added(again, other), added(again)], "tools": [FIND]})

    assert offered(request) == {"find": "Finds.", "send": "Sends."}


def test_one_of_them_can_be_forced() -> None:
    request = asked({"input": [HI, added(SEND)], "tool_choice": {"type": "function", "name": "send"}})

    assert Toolbox.of(request.parameters, request.input).choice["function"] == {"name": "send"}


@pytest.mark.parametrize("kind", ["web_search", "mcp"])
def test_alone_one_that_openai_runs_is_refused(kind: str) -> None:
    with pytest.raises(UnsupportedValue) as refused:
        asked({"input": [HI, added({"type": kind})]})

    assert refused.value.field == "input"
    assert asked({"input": [HI, added({"type": kind})], "tools": [FIND]}), "a tool remains"


def test_what_was_left_out_of_an_earlier_turn_does_not_refuse_a_later_one() -> None:
    before = asked({"input": [HI, added({"type": "web_search"})], "tools": [FIND]}).input

    later = asked({"input": "hi", "previous_response_id": "resp_" + "0" * 32})

    assert Toolbox.in_context(later, [*before, *later.input]).ignored == ("web_search",)


def test_those_that_openai_runs_are_left_out() -> None:
    made = Toolbox.of({}, asked({"input": [HI, added({"type": "web_search"}, SEND)]}).input)

    assert (made.ignored, len(made.functions)) == (("web_search",), 1)
    assert asked({"input": [HI, added(SEND)], "tools": [{"type": "web_search"}]}), "a tool remains"


@pytest.mark.parametrize(
    ("tool", "param"),
    [
        ({"name": "x"}, "type"),
        ({"type": "functoin", "name": "x"}, "type"),
        ({"type": "function"}, "name"),
        ({**SEND, "parameters": "x"}, "parameters"),
        ({"type": "namespace", "name": "n", "tools": [{"type": "function"}]}, "tools[0].name"),
    ],
)
def test_what_is_wrong_with_one_is_named_by_its_place(tool: Any, param: str) -> None:
    with pytest.raises(InvalidField) as refused:
        asked({"input": [HI, added(SEND, tool)]})

    assert refused.value.field == f"input[1].tools[1].{param}"


@pytest.mark.parametrize("kind", ["functoin", "functions", "Function", "customs", "name_space"])
def test_a_misspelt_type_is_none_that_openai_runs(kind: str) -> None:
    with pytest.raises(InvalidField, match="did you mean") as refused:
        asked({"input": "hi", "tools": [FIND, {"type": kind, "name": "x"}]})

    assert refused.value.field == "tools[1].type"


@pytest.mark.parametrize(
    ("kind", "meant"),
    [
        ("web_serch", "web_search"),
        ("file-search", "file_search"),
        ("shel", "shell"),
        ("mcpp", "mcp"),
        ("webSearch", "web_search"),
        ("Code_Interpretor", "code_interpreter"),
    ],
)
def test_a_misspelt_type_of_those_that_openai_runs_is_refused(kind: str, meant: str) -> None:
    tool: Any = {"type": kind}

    for body, param in (
        ({"input": "hi", "tools": [FIND, tool]}, "tools[1].type"),
        ({"input": [HI, added(SEND, tool)]}, "input[1].tools[1].type"),
    ):
        with pytest.raises(InvalidField, match=f"did you mean '{meant}'") as refused:
            asked(body)
        assert refused.value.field == param


OF_OPENAI = (
    *("web_search", "web_search_2025_08_26", "web_search_preview", "web_search_preview_2025_03_11", "file_search"),
    *("computer", "computer_use_preview", "mcp", "code_interpreter", "image_generation", "local_shell", "shell"),
    *("apply_patch", "tool_search", "programmatic_tool_calling"),
)


OF_OTHERS = (
    *("x_search", "web_fetch", "web_search_20250305", "openrouter:web_search", "browser_search", "bash_20250124"),
    *("tool_search_tool_regex_20251119", "computer_20250124", "mcp_toolset", "code_execution", "memory"),
)


@pytest.mark.parametrize("kinds", [OF_OPENAI, OF_OTHERS], ids=["OpenAI's", "others'"])
def test_all_that_a_vendor_runs_are_taken(kinds: tuple[str, ...]) -> None:
    request = asked({"input": "hi", "tools": [FIND, *({"type": kind} for kind in kinds)]})

    assert Toolbox.of(request.parameters).ignored == kinds
