"""What requests ask for, as specifications of the turn."""

from __future__ import annotations

import pytest

from harmony_py.constrain import JsonSchema
from harmony_py.engines.specs import turn_spec
from harmony_py.errors import ConstraintError
from harmony_py.wire import Format, Function, Options, ToolChoice

FUNCTIONS = (Function("f"), Function("g"))
BROWSER = {"browser.search", "browser.open", "browser.find"}


@pytest.mark.parametrize(
    ("choice", "callees", "answers"),
    [
        (ToolChoice("auto"), {"functions.f", "functions.g"} | BROWSER, True),
        (ToolChoice("required"), {"functions.f", "functions.g"} | BROWSER, False),
        (ToolChoice("none"), set(), True),
        (ToolChoice("auto", ("functions.f", "functions.f")), {"functions.f"}, True),
        (ToolChoice("required", ("functions.g", "functions.f")), {"functions.f", "functions.g"}, False),
        (ToolChoice("required", ("functions.g",)), {"functions.g"}, False),
    ],
)
def test_a_choice_leaves_the_tools_it_names(choice: ToolChoice, callees: set[str], answers: bool) -> None:
    spec = turn_spec(Options("m", functions=FUNCTIONS, builtin=frozenset({"browser"}), tool_choice=choice))
    assert {callee.recipient for callee in spec.callees} == callees
    assert (spec.answer is not None) == answers


def test_no_mask_knows_a_choice_of_a_built_in_tool() -> None:
    choice = ToolChoice("required", ("browser",))
    with pytest.raises(ConstraintError, match="expected functions, found browser"):
        turn_spec(Options("m", functions=FUNCTIONS, builtin=frozenset({"browser"}), tool_choice=choice))


def test_schemas_of_tools_that_may_not_be_called_do_not_matter() -> None:
    functions = (Function("f", parameters={"type": "string"}),)
    spec = turn_spec(
        Options("m", functions=functions, tool_choice=ToolChoice("none"), format=Format("json_object"))
    )
    assert spec.final == JsonSchema({"type": "object"})
