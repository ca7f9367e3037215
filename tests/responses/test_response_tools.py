"""Tools of a request as functions of a chat completion, and what a call of one of them stands for."""

from typing import Any

import pytest

from answerback.http.openai_errors import UnsupportedValue
from answerback.kernel.errors import InvalidField
from answerback.responses.tools.shapes import LONGEST_NAME
from answerback.responses.tools.toolbox import Tool, Toolbox

FIND: Any = {"type": "function", "name": "find", "parameters": {"type": "object", "properties": {}}}
SQL: Any = {"type": "custom", "name": "sql", "description": "Runs SQL."}
CRM: Any = {"type": "namespace", "name": "crm", "description": "Customers.", "tools": [FIND, SQL]}
SEARCH: Any = {"type": "web_search"}


def toolbox(*tools: Any, choice: Any = None) -> Toolbox:
    return Toolbox.of({"tools": list(tools), **({} if choice is None else {"tool_choice": choice})})


def names(made: Toolbox) -> list[str]:
    return [each["function"]["name"] for each in made.functions]


def test_a_function_keeps_what_it_says() -> None:
    strict = {**FIND, "description": "Finds.", "strict": True}

    (made,) = toolbox(strict).functions

    assert made == {"type": "function", "function": {k: v for k, v in strict.items() if k != "type"}}
    (loose,) = toolbox({**FIND, "strict": None}).functions
    assert "strict" not in loose["function"]


def test_a_custom_tool_is_a_function_of_one_text() -> None:
    grammar = {"type": "grammar", "syntax": "lark", "definition": "start: WORD"}

    (made,) = toolbox({**SQL, "format": grammar}).functions

    assert made["function"]["parameters"]["required"] == ["input"]
    assert "start: WORD" in made["function"]["description"]
    assert toolbox(SQL).tool("sql") == Tool("custom", "sql", None)


def test_a_namespace_is_flattened_and_found_again() -> None:
    made = toolbox(FIND, CRM)

    assert names(made) == ["find", "crm__find", "crm__sql"]
    assert made.tool("crm__find") == Tool("function", "find", "crm")
    assert made.tool("crm__sql") == Tool("custom", "sql", "crm")
    assert made.tool("never_offered") == Tool("function", "never_offered", None)


def test_long_names_stay_short_and_apart() -> None:
    long = {**CRM, "name": "n" * 60, "tools": [{**FIND, "name": "first_one"}, {**FIND, "name": "second_one"}]}

    first, second = names(toolbox(long))

    assert first != second
    assert len(first) == len(second) == LONGEST_NAME


def test_tools_that_openai_runs_are_left_out_beside_others() -> None:
    made = toolbox(SEARCH, FIND, {"type": "image_generation"}, choice="auto")

    assert names(made) == ["find"]
    assert made.ignored == ("web_search", "image_generation")
    assert [each["type"] for each in made.echoed] == ["function"]


@pytest.mark.parametrize(
    ("tools", "choice"),
    [([SEARCH], None), ([FIND, SEARCH], {"type": "web_search"})],
    ids=["nothing else is offered", "it is forced"],
)
def test_tools_that_openai_runs_are_refused_where(tools: list[Any], choice: Any) -> None:
    with pytest.raises(UnsupportedValue) as refused:
        toolbox(*tools, choice=choice)

    assert refused.value.field == f"tools[{len(tools) - 1}].type"


def test_a_choice_names_its_function() -> None:
    assert toolbox(FIND, choice="required").choice == "required"
    assert toolbox(FIND, choice={"type": "function", "name": "find"}).choice["function"] == {"name": "find"}
    assert toolbox(SQL, choice={"type": "custom", "name": "sql"}).choice["function"] == {"name": "sql"}
    assert toolbox(choice="auto").choice is None


def test_allowed_tools_are_the_only_ones() -> None:
    allowed = {"type": "allowed_tools", "mode": "required", "tools": [{"type": "custom", "name": "sql"}]}

    made = toolbox(FIND, SQL, choice=allowed)

    assert (names(made), made.choice) == (["sql"], "required")


@pytest.mark.parametrize(
    ("allowed", "param"),
    [([], "tool_choice.tools"), ([SEARCH], "tools[1].type")],
    ids=["there is none", "it is one that OpenAI runs"],
)
def test_a_call_cannot_be_required_of_no_tool_where(allowed: list[Any], param: str) -> None:
    with pytest.raises(InvalidField) as refused:
        toolbox(FIND, SEARCH, choice={"type": "allowed_tools", "mode": "required", "tools": allowed})

    assert refused.value.field == param
    assert names(toolbox(FIND, SEARCH, choice={"type": "allowed_tools", "mode": "auto", "tools": allowed})) == []


def test_the_format_of_a_custom_tool_is_repeated_as_it_came() -> None:
    grammar = {"type": "grammar", "syntax": "regex", "definition": "a+"}

    for given, echoed in ((grammar, {"format": grammar}), ({"type": "text"}, {"format": {"type": "text"}}), (None, {})):
        (made,) = toolbox({**SQL, "format": given}).echoed
        assert made == {**SQL, **echoed}


@pytest.mark.parametrize(
    ("wrong", "param", "code"),
    [
        (5, "format", "invalid_type"),
        ({}, "format.type", "missing_required_parameter"),
        ({"type": "song"}, "format.type", "invalid_value"),
        ({"type": []}, "format.type", "invalid_type"),
        ({"type": "grammar", "syntax": "nope", "definition": "x"}, "format.syntax", "invalid_value"),
        ({"type": "grammar", "definition": "x"}, "format.syntax", "missing_required_parameter"),
        ({"type": "grammar", "syntax": "lark"}, "format.definition", "missing_required_parameter"),
        ({"type": "grammar", "syntax": "lark", "definition": 5}, "format.definition", "invalid_type"),
    ],
)
def test_a_wrong_format_of_a_custom_tool_is_named(wrong: Any, param: str, code: str) -> None:
    made = {**SQL, "format": wrong}

    for tool, path in ((made, "tools[0]"), ({**CRM, "tools": [made]}, "tools[0].tools[0]")):
        with pytest.raises(InvalidField) as refused:
            toolbox(tool)
        assert (refused.value.field, refused.value.code) == (f"{path}.{param}", code)


@pytest.mark.parametrize(
    ("tools", "choice", "param"),
    [
        ([{"name": "x"}], None, "tools[0].type"),
        ([{"type": "function"}], None, "tools[0].name"),
        ([FIND, {**FIND, "parameters": "x"}], None, "tools[1].parameters"),
        ([{**FIND, "strict": "x"}], None, "tools[0].strict"),
        ([{**CRM, "tools": [{**FIND, "strict": 0}]}], None, "tools[0].tools[0].strict"),
        ([{"type": 0}], None, "tools[0].type"),
        ([FIND, FIND], None, "tools[1].name"),
        ([{**FIND, "name": "two words"}], None, "tools[0].name"),
        ([{**FIND, "name": "find\n"}], None, "tools[0].name"),
        ([{**SQL, "name": "s" * 65}], None, "tools[0].name"),
        ([{**CRM, "tools": [{**FIND, "name": "é"}]}], None, "tools[0].tools[0].name"),
        ([], "required", "tool_choice"),
        ([{"type": "namespace", "name": "n"}], None, "tools[0].tools"),
        ([{**CRM, "tools": [SEARCH]}], None, "tools[0].tools[0].type"),
        ([FIND], "sometimes", "tool_choice"),
        ([FIND], 5, "tool_choice"),
        ([FIND], {"type": "function", "name": "other"}, "tool_choice"),
        ([FIND], {"type": "allowed_tools", "mode": "auto", "tools": [{"type": "function"}]}, "tool_choice.tools[0]"),
        ([FIND], {"type": "allowed_tools", "mode": "auto", "tools": [5]}, "tool_choice.tools[0]"),
        ([FIND], {"type": "allowed_tools", "mode": "auto", "tools": [{"type": []}]}, "tool_choice.tools[0]"),
        ([FIND], {"type": "mcp"}, "tool_choice.type"),
    ],
)
def test_what_is_wrong_with_a_tool_is_named(tools: list[Any], choice: Any, param: str) -> None:
    with pytest.raises(InvalidField) as refused:
        toolbox(*tools, choice=choice)

    assert refused.value.field == param
