"""SGLang with our text parser in it. `benchmarks/sglang_parser.py` runs the real one's detectors."""

from __future__ import annotations

import importlib.metadata
import re
import sys
from types import ModuleType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harmony_py.engines import sglang as ours
from harmony_py.engines.sglang import HarmonyParser
from harmony_py.errors import EngineError
from harmony_py.format.parse import parse
from tests.timing import assert_linear
from tests.token_streams import ids

CALL = re.compile(
    r"to=([a-zA-Z_][a-zA-Z0-9_.-]*)\s*<\|constrain\|>json<\|message\|>(.*?)(?:<\|call\|>|$)", re.DOTALL
)
"""How SGLang's detector of calls reads one."""


def test_many_markers_at_once_take_no_longer_each() -> None:
    assert_linear(lambda count: lambda: HarmonyParser().parse("<|end|>" * count), 20_000)


def read(pieces: list[str]) -> tuple[str, str, list[tuple[str, str]]]:
    """Reasoning, content and calls as SGLang makes them of our events."""
    parser = HarmonyParser()
    events = [event for piece in pieces for event in parser.parse(piece)]
    texts = {"reasoning": "", "normal": "", "tool_call": ""}
    calls = []
    for event in events:
        texts[event.event_type] += event.content
        if event.event_type == "tool_call":
            assert event.raw_text is not None
            assert event.raw_text.startswith("<|start|>assistant<|channel|>commentary to=")
            calls += CALL.findall(event.raw_text)
    return texts["reasoning"], texts["normal"], calls


THOUGHT = "<|channel|>analysis<|message|>Is a < b?<|end|><|start|>assistant"
PROBES: dict[str, tuple[str, str, list[tuple[str, str]]]] = {
    THOUGHT + "<|channel|>final<|message|>Yes, <b>.<|return|>": ("Is a < b?", "Yes, <b>.", []),
    THOUGHT + "<|channel|>final<|message|>Yes": ("Is a < b?", "Yes", []),
    "<|channel|>final json<|message|>{}<|return|>": ("", "{}", []),
    THOUGHT + "<|channel|>commentary to=functions.f <|constrain|>json<|message|>{}<|call|>": (
        "Is a < b?",
        "",
        [("functions.f", "{}")],
    ),
    "<|channel|>commentary to=functions.f json<|message|>{}<|call|>": ("", "", [("functions.f", "{}")]),
    " to=functions.f<|channel|>commentary json<|message|>{}<|call|>": ("", "", [("functions.f", "{}")]),
    "<|channel|>commentary to=f<|message|>{}<|call|>"
    "commentary<|channel|>commentary to=g<|message|>[]<|call|>": (
        "",
        "",
        [("f", "{}"), ("g", "[]")],
    ),
    "I can't.<|end|>": ("", "I can't.", []),
    "<|channel|>final The answer\nis 4.<|return|>": ("", "The answer\nis 4.", []),
    "<|channel|>analysis<|message|>Hm<|start|>assistant<|channel|>final<|message|>Yes<|return|>": (
        "Hm",
        "Yes",
        [],
    ),
    # What the first detector leaves for the second.
    "Let me look.<|start|>assistant<|channel|>commentary to=f <|constrain|>json<|message|>{}<|call|>": (
        "",
        "Let me look.",
        [("f", "{}")],
    ),
    "to be or <|not|> to be": ("", "to be or <|not|> to be", []),
    "assistants <": ("", "assistants ", []),
}


@pytest.mark.parametrize("text", PROBES)
@pytest.mark.parametrize("size", [1, 2, 3, 7, 1000])
def test_text_is_read_as_it_was_meant(text: str, size: int) -> None:
    assert read([text[at : at + size] for at in range(0, len(text), size)]) == PROBES[text]


_TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="|"), max_size=15)
_HEADERS = [
    "analysis",
    "commentary",
    "final",
    "final json",
    "commentary to=functions.f json",
    "analysis to=python code",
]
_MESSAGES = st.tuples(
    st.sampled_from(_HEADERS), _TEXT, st.sampled_from(["<|end|>", "<|call|>", "<|return|>"])
)
_SNIPPETS = st.one_of(
    _TEXT,
    st.sampled_from(
        ["<|start|>", "<|channel|>", "<|message|>", "<|end|>", "<|call|>", "<|constrain|>", "assistant"]
    ),
    st.sampled_from([" to=functions.f", "commentary", "final", "analysis", "x" * 600, "<|", "<|chan"]),
)


@given(messages=st.lists(_MESSAGES, min_size=1, max_size=4))
def test_it_agrees_with_the_parser_of_tokens(messages: list[tuple[str, str, str]]) -> None:
    text = "<|start|>assistant".join(
        f"<|channel|>{head}<|message|>{body}{end}" for head, body, end in messages
    )
    found = parse(ids(text), "assistant").messages
    calls = [message for message in found if message.is_tool_call]
    rest = [message for message in found if not message.is_tool_call]
    parser = HarmonyParser()
    events = parser.parse(text)
    assert [event.content for event in events if event.event_type == "tool_call"] == [
        message.text.strip() for message in calls
    ]
    for event_type, channels in (("reasoning", ["analysis"]), ("normal", ["commentary", "final"])):
        expected = "".join(message.text for message in rest if message.channel in channels)
        assert "".join(event.content for event in events if event.event_type == event_type) == expected


@given(snippets=st.lists(_SNIPPETS, max_size=12), data=st.data())
def test_it_does_not_depend_on_how_text_is_cut(snippets: list[str], data: st.DataObject) -> None:
    text = "".join(snippets)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=12)))
    pieces = [text[start:end] for start, end in zip([0, *cuts], [*cuts, len(text)], strict=True)]
    end = "<|end|>"
    assert read([*pieces, end]) == read([text, end])


@given(snippets=st.lists(_SNIPPETS, max_size=12))
def test_while_something_is_held_back_there_is_an_event(snippets: list[str]) -> None:
    parser = HarmonyParser()
    for snippet in snippets:
        events = parser.parse(snippet)
        assert events or not parser._held


# -- on and off ----------------------------------------------------------------------------------------------


class Hooks:
    registered: list[Any]

    @classmethod
    def register(cls, *arguments: Any) -> None:
        cls.registered.append(arguments)


@pytest.fixture
def hooks(monkeypatch: pytest.MonkeyPatch) -> type[Hooks]:
    """SGLang's registry of hooks, as far as a plugin sees it."""
    Hooks.registered = []
    module = ModuleType("sglang.srt.plugins.hook_registry")
    vars(module).update(HookRegistry=Hooks, HookType=type("HookType", (), {"REPLACE": "replace"}))
    for name in ("sglang", "sglang.srt", "sglang.srt.plugins"):
        monkeypatch.setitem(sys.modules, name, ModuleType(name))
    monkeypatch.setitem(sys.modules, module.__name__, module)
    return Hooks


def test_it_is_off_unless_it_is_switched_on(hooks: type[Hooks], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.metadata, "version", lambda name: "0.5.23")
    monkeypatch.delenv(ours.VARIABLE, raising=False)
    ours.plugin()
    assert hooks.registered == []
    monkeypatch.setenv(ours.VARIABLE, "1")
    ours.plugin()
    target = "sglang.srt.parser.harmony_parser.HarmonyParser"
    assert hooks.registered == [(target, HarmonyParser, "replace")]


def test_another_version_is_left_alone(hooks: type[Hooks], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.metadata, "version", lambda name: "0.6.0")
    monkeypatch.setenv(ours.VARIABLE, "1")
    with pytest.raises(EngineError, match=r"sglang 0\.6\.0: tested is 0\.5\.\*; unset HARMONY_PY_SGLANG"):
        ours.plugin()
    assert hooks.registered == []
