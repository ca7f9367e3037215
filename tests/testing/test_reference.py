"""What the documentation takes from the code: complete, and in its place."""

import pytest

from answerback.kernel.errors import ErrorCode
from answerback.testing import docs, reference


def rows(table: str) -> list[list[str]]:
    """The cells of a table without its head."""
    return [[cell.strip() for cell in line.strip("| ").split(" | ")] for line in table.splitlines()[2:]]


def test_every_code_of_a_job_has_a_meaning() -> None:
    found = {code.strip("`"): meaning for code, _, meaning in rows(reference.job_errors())}

    assert found.keys() == set(ErrorCode)
    assert all(meaning.endswith(".") for meaning in found.values())


def test_every_code_of_a_response_has_a_status_and_a_meaning() -> None:
    found = rows(reference.response_errors())

    assert {"not_found", "storage_unavailable", "conversation_full"} <= {code.strip("`") for _, code, _ in found}
    assert [row for row in found if not (row[0].isdigit() and row[2].endswith("."))] == []


def test_on_openais_routes_a_wrong_value_is_a_400() -> None:
    assert ["400", "`invalid_value`"] in [row[:2] for row in rows(reference.response_errors())]


def test_operations_show_their_parameters_and_the_fields_of_their_bodies() -> None:
    body = {
        "required": ["name"],
        "properties": {
            "name": {"type": "string", "description": "A | B."},
            "tags": {"anyOf": [{"type": "array", "items": {"type": "string"}}, {"type": "null"}]},
            "more": {"$ref": "#/components/schemas/More"},
            "count": {"type": ["integer", "null"]},
        },
    }
    operation = {
        "tags": ["pets"],
        "summary": "Add a pet",
        "description": "Twice\nis no error.",
        "parameters": [{"name": "dry", "in": "query", "description": "Only look."}],
        "requestBody": {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/Pet"}}}},
    }
    more = {"type": "object", "description": "The rest."}
    document = {
        "paths": {"/pets": {"post": operation}},
        "components": {"schemas": {"Pet": body, "More": more}},
    }

    assert reference.routes(document) == (
        "## Pets\n\n### POST /pets\n\n**Add a pet.** Twice is no error.\n\n"
        "| parameter | in | meaning |\n| --- | --- | --- |\n| `dry` | query | Only look. |\n\n"
        "| field of `application/json` | type | meaning |\n| --- | --- | --- |\n"
        "| `name` (required) | string | A \\| B. |\n| `tags` | array of string |  |\n| `more` | object | The rest. |\n"
        "| `count` | integer |  |\n"
    )


def test_renewing_changes_nothing_around_a_part() -> None:
    page = "before\n<!-- metrics -->\nold\n<!-- /metrics -->\nafter\n"

    expected = "before\n<!-- metrics -->\n\nnew\n\n<!-- /metrics -->\nafter\n"
    assert docs.renewed(page, {"metrics": "new\n", "settings": "elsewhere"}) == expected
    assert docs.renewed(expected, {"metrics": "new\n"}) == expected


@pytest.mark.parametrize(
    "page",
    [
        "<!-- metrics -->\n",
        "<!-- /metrics -->\n",
        "<!-- /metrics -->\n<!-- metrics -->\n",
        "<!-- metrics -->\n<!-- metrics -->\n<!-- /metrics -->\n",
    ],
)
def test_a_part_without_its_two_marks_is_an_error(page: str) -> None:
    with pytest.raises(ValueError, match="must each stand once"):
        docs.renewed(page, {"metrics": "new"})
