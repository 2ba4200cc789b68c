"""Limits for any tool: what hangs, floods or dies is cut off, and the conversation goes on."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Any

import pytest

from harmony_py.engines.chat import Chat, ToolAnswered
from harmony_py.errors import HarmonyError, ToolError
from harmony_py.tools.calls import bounded, takes_text, whole_number, within
from harmony_py.tools.mcp import McpServer
from harmony_py.tools.python import Python
from tests.scripted_engine import ScriptedEngine

if TYPE_CHECKING:
    from collections.abc import Callable


def hangs() -> str:
    time.sleep(20)
    return "late"


def floods() -> str:
    return "x" * 10**7


def dies() -> str:
    sys.exit(3)


def answer(tool: Callable[..., object]) -> ToolAnswered:
    """What the model is told of a call of the tool, after which it answers."""
    call = "<|channel|>commentary to=functions.tool <|constrain|>json<|message|>{}<|call|>"
    engine = ScriptedEngine(call, "<|channel|>final<|message|>Well.<|return|>")
    chat = Chat(engine, tools={"tool": bounded(tool, seconds=0.5 if tool is hangs else 20, characters=30)})
    [answered] = [event for event in chat.send("Go.") if isinstance(event, ToolAnswered)]
    assert chat.messages[-1].text == "Well."
    return answered


@pytest.mark.parametrize(
    ("tool", "text", "is_error"),
    [
        (hangs, "hangs did not end within 0.5 seconds", True),
        (floods, "x" * 20 + "\n[... 9999970 characters left out ...]\n" + "x" * 10, False),
        (dies, "dies failed: SystemExit: 3", True),
        (lambda: {"a": ["ü"]}, '{"a": ["ü"]}', False),
        (lambda: " as it is\n", " as it is\n", False),
        (lambda: object(), '{"error": "TypeError: Object of type object is not JSON serializable"}', True),
    ],
)
def test_a_tool_is_cut_off_and_the_model_told(tool: Callable[..., object], text: str, is_error: bool) -> None:
    answered = answer(tool)
    assert answered.text == text
    assert (answered.error is not None) is is_error


def test_what_a_tool_says_of_itself_is_passed_on() -> None:
    def refuses() -> str:
        raise ToolError("not today")

    assert answer(refuses).text == "not today"
    with pytest.raises(ToolError, match="not today"):
        within(1, "it", refuses)
    assert issubclass(ToolError, HarmonyError)


def test_text_is_for_those_who_want_it() -> None:
    @takes_text
    def shout(text: str) -> str:
        return text.upper()

    call = "<|channel|>commentary to=functions.tool<|message|>{not json<|call|>"
    for tool in (shout, bounded(shout)):
        chat = Chat(ScriptedEngine(call, "<|channel|>final<|message|>.<|return|>"), tools={"tool": tool})
        assert [e.text for e in chat.send("?") if isinstance(e, ToolAnswered)] == ["{NOT JSON"]


@pytest.mark.parametrize(
    ("package", "make"),
    [
        ("ipykernel", Python),
        ("jupyter_client", Python),
        ("mcp", lambda: McpServer.stdio("x")),
        ("mcp", lambda: McpServer.http("http://x")),
    ],
)
def test_what_is_not_installed_is_said_at_once(
    monkeypatch: pytest.MonkeyPatch, package: str, make: Callable[[], object]
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(ImportError, match=rf"needs {package}: pip install 'harmony-py\[(tools|mcp)\]'"):
        make()


@pytest.mark.parametrize(("value", "number"), [(3, 3), (-1, -1), (3.0, 3), ("7", 7), (" -2 ", -2)])
def test_whole_numbers_in_all_spellings(value: Any, number: int) -> None:
    assert whole_number("n", value) == number


@pytest.mark.parametrize(
    "value", [True, None, "", "-", "--2", "1.5", 1.5, [], {}, float("inf"), float("nan"), "9" * 30]
)
def test_what_is_no_whole_number(value: Any) -> None:
    with pytest.raises(ToolError, match="`n`: expected a whole number, found "):
        whole_number("n", value)
