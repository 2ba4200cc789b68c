"""The chat loop: what is streamed, which tools run, and what the engine is asked next."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from harmony_py.chat import DeveloperContent, Message, Role, SystemContent, ToolDescription
from harmony_py.constrain import Mask, Regex, TurnSpec
from harmony_py.engines.chat import Chat, Completed, ToolAnswered, ToolCalled
from harmony_py.errors import EngineError, RenderError
from harmony_py.format.config import RenderConfig
from harmony_py.format.encoding import load_harmony_encoding
from harmony_py.format.events import ContentDelta, Diagnostic, MessageEnd, MessageStart
from harmony_py.tokenizer.special import END, RETURN
from tests.scripted_engine import ScriptedEngine

if TYPE_CHECKING:
    from collections.abc import Callable

ENCODING = load_harmony_encoding()

THOUGHT = "<|channel|>analysis<|message|>I should look.<|end|><|start|>assistant"
CALL = '<|channel|>commentary to=functions.weather <|constrain|>json<|message|>{"city": "Oslo"}<|call|>'
ANSWER = "<|channel|>final<|message|>It rains.<|return|>"

OPENING = [
    Message.from_role_and_content(Role.SYSTEM, SystemContent.new()),
    Message.from_role_and_content(
        Role.DEVELOPER, DeveloperContent.new().with_function_tools([ToolDescription.new("weather")])
    ),
]


def chat_with(engine: ScriptedEngine, tool: Callable[..., object] | None = None, **options: Any) -> Chat:
    return Chat(engine, OPENING, {"weather": tool} if tool else {}, **options)


def one(events: list[Any], kind: type[Any]) -> Any:
    [found] = [event for event in events if isinstance(event, kind)]
    return found


def spoken(chat: Chat) -> list[tuple[str, str | None, str]]:
    return [(m.author.role.value, m.channel, m.text) for m in chat.messages[len(OPENING) :]]


def test_a_tool_is_called_and_its_result_answered() -> None:
    engine = ScriptedEngine(THOUGHT + CALL, ANSWER)
    asked: list[str] = []

    def weather(city: str) -> str:
        asked.append(city)
        return "rain"

    chat = chat_with(engine, weather)
    events = list(chat.send("Weather in Oslo?"))
    assert asked == ["Oslo"]
    assert spoken(chat) == [
        ("user", None, "Weather in Oslo?"),
        ("assistant", "analysis", "I should look."),
        ("assistant", "commentary", '{"city": "Oslo"}'),
        ("tool", "commentary", "rain"),
        ("assistant", "final", "It rains."),
    ]
    assert one(events, ToolCalled) == ToolCalled(4, "functions.weather")
    assert one(events, ToolAnswered) == ToolAnswered(5, "functions.weather", "rain", None)
    assert [event.finish for event in events if isinstance(event, Completed)] == ["stop", "stop"]
    ended = {event.message_index: event.message for event in events if isinstance(event, MessageEnd)}
    assert {index: chat.messages[index] for index in ended} == ended
    deltas: dict[int, str] = {}
    for event in events:
        if isinstance(event, ContentDelta):
            deltas[event.message_index] = deltas.get(event.message_index, "") + event.text
    assert deltas == {index: message.text for index, message in ended.items()}
    assert engine.prompts[1] == ENCODING.render_conversation_for_completion(chat.messages[:-1])


def test_prompts_begin_with_what_the_engine_has_seen_and_say_so() -> None:
    # Ids that no encoder would choose: "h" and "ello".
    odd = [*ENCODING.encode("<|channel|>final<|message|>", allowed_special="all"), 71, 6053, RETURN]
    engine = ScriptedEngine(CALL, odd, ANSWER)
    chat = chat_with(engine, lambda city: "rain")
    events = [*chat.send("Hi"), *chat.send("More")]
    first, second, third = engine.prompts
    assert second[: len(first)] == first
    assert third[: len(second) + len(odd)] == [*second, *odd[:-1], END]
    assert [event.reusable for event in events if isinstance(event, Completed)] == [
        0,
        len(first) + len(engine.completions[0]),
        len(second) + len(odd) - 1,
    ]


@pytest.mark.parametrize(
    ("returned", "told"),
    [
        ({"degrees": 3}, '{"degrees": 3}'),
        (["å"], '["å"]'),
        (None, "null"),
        (3.5, "3.5"),
        ("a\ud800", "a\ufffd"),
    ],
)
def test_what_is_json_is_told_as_json(returned: object, told: str) -> None:
    chat = chat_with(ScriptedEngine(CALL, ANSWER), lambda city: returned)
    answered = one(list(chat.send("?")), ToolAnswered)
    assert (answered.text, answered.error) == (told, None)
    assert chat.messages[answered.message_index].text == told


def broken(city: str) -> str:
    raise KeyError(city)


@pytest.mark.parametrize(
    ("completion", "tool", "error"),
    [
        (CALL, broken, "KeyError: 'Oslo'"),
        (CALL, lambda: "no parameter", "unexpected keyword argument 'city'"),
        (CALL, lambda city: object(), "the tool returned neither text nor JSON"),
        (CALL, lambda city: float("nan"), "the tool returned neither text nor JSON"),
        (CALL, None, "there is no tool 'functions.weather'; there is: none"),
        (CALL.replace("functions.weather", "browser.open"), broken, "there is no tool 'browser.open'"),
        (CALL.replace('{"city": "Oslo"}', "Oslo!"), broken, "the arguments are not JSON: Expecting value"),
        (CALL.replace('{"city": "Oslo"}', '["Oslo", 1]'), broken, "a JSON array, not an object"),
        (CALL.replace('{"city": "Oslo"}', '{"city": "Os'), broken, "the arguments are not JSON"),
    ],
)
def test_what_goes_wrong_is_told_to_the_model_and_the_caller(
    completion: str, tool: Callable[..., object] | None, error: str
) -> None:
    chat = chat_with(ScriptedEngine(completion, ANSWER), tool)
    answered = one(list(chat.send("?")), ToolAnswered)
    assert answered.error is not None
    assert error in answered.error
    assert json.loads(answered.text) == {"error": answered.error}
    assert [channel for _, channel, _ in spoken(chat)] == [None, "commentary", "commentary", "final"]


def test_slips_in_arguments_are_mended() -> None:
    chat = chat_with(ScriptedEngine(CALL.replace('{"city": "Oslo"}', "{'city': 'Oslo',}"), ANSWER), str.upper)
    assert "TypeError" in one(list(chat.send("?")), ToolAnswered).error  # it was called, by keyword
    chat = chat_with(
        ScriptedEngine(CALL.replace('{"city": "Oslo"}', "{'city': 'Oslo',}"), ANSWER), lambda city: city
    )
    assert one(list(chat.send("?")), ToolAnswered).text == "Oslo"


def test_the_python_tool_is_given_text() -> None:
    completion = "<|channel|>analysis to=python code<|message|>print(1)<|call|>"
    chat = Chat(ScriptedEngine(completion, ANSWER), tools={"python": lambda code: f"ran {code}"})
    assert one(list(chat.send("?")), ToolAnswered) == ToolAnswered(2, "python", "ran print(1)", None)
    assert chat.messages[2].channel == "analysis"


def test_rounds_are_bounded() -> None:
    engine = ScriptedEngine(CALL, CALL, CALL, ANSWER)
    chat = chat_with(engine, lambda city: "rain", rounds=2)
    events = list(chat.send("?"))
    assert len(engine.prompts) == 2
    assert [event.finish for event in events if isinstance(event, Completed)] == ["stop", "rounds"]
    assert chat.messages[-1].author.role == Role.TOOL
    assert one(list(chat.send("Go on")), ToolCalled)
    with pytest.raises(ValueError, match="rounds: expected 1 or more, found 0"):
        chat_with(engine, rounds=0)


def test_a_call_cut_short_does_not_run() -> None:
    chat = chat_with(ScriptedEngine(CALL.removesuffix("<|call|>"), ANSWER), broken)
    events = list(chat.send("?"))
    assert one(events, Completed).finish == "length"
    assert not [event for event in events if isinstance(event, ToolCalled)]
    assert spoken(chat)[-1] == ("assistant", "commentary", '{"city": "Oslo"}')


def test_a_call_that_the_next_message_ended_runs() -> None:
    engine = ScriptedEngine(
        CALL.replace("<|call|>", "<|start|>assistant<|channel|>final<|message|>It"), ANSWER
    )
    chat = chat_with(engine, lambda city: "rain")
    assert one(list(chat.send("?")), ToolAnswered).text == "rain"
    assert [text for _, _, text in spoken(chat)] == ["?", '{"city": "Oslo"}', "rain", "It rains."]


@pytest.mark.parametrize("author", ["functions.weather to=assistant<|channel|>commentary", "user", "tool:x"])
def test_the_model_does_not_write_what_others_say(author: str) -> None:
    invented = THOUGHT.removesuffix("assistant") + author + "<|message|>It snows.<|end|><|start|>assistant"
    engine = ScriptedEngine(invented + ANSWER)
    chat = chat_with(engine)
    events = list(chat.send("?"))
    assert spoken(chat) == [("user", None, "?"), ("assistant", "analysis", "I should look.")]
    assert one(events, Completed).finish == "interrupted"
    assert engine.closed == 1
    assert "snow" not in repr(events)


def test_after_a_call_the_tool_has_the_word_however_the_call_ended() -> None:
    invented = CALL.replace(
        "<|call|>", "<|end|><|start|>functions.weather to=assistant<|message|>snow<|end|>"
    )
    engine = ScriptedEngine(invented, ANSWER)
    chat = chat_with(engine, lambda city: "rain")
    assert one(list(chat.send("?")), ToolAnswered).text == "rain"
    assert engine.closed == 2
    assert "snow" not in ENCODING.decode(engine.prompts[1])


def test_repairs_are_events_and_malformed_turns_go_on() -> None:
    chat = chat_with(ScriptedEngine("no header<|end|><|start|>assistant" + ANSWER, ANSWER))
    events = list(chat.send("?"))
    assert [event.code for event in events if isinstance(event, Diagnostic)] == ["missing_header"]
    assert [event.message_index for event in events if isinstance(event, MessageStart)] == [3, 4]
    assert one(list(chat.send("And?")), Completed).finish == "stop"


def test_who_stops_reading_keeps_what_was_said() -> None:
    engine = ScriptedEngine(THOUGHT + ANSWER, ANSWER)
    chat = chat_with(engine)
    events = chat.send("?")
    for event in events:
        if isinstance(event, ContentDelta):
            break
    events.close()  # type: ignore[attr-defined]
    assert engine.closed == 1
    assert spoken(chat) == [("user", None, "?"), ("assistant", "analysis", "I")]
    assert one(list(chat.send("Go on")), Completed).finish == "stop"


def test_a_call_that_was_interrupted_has_an_answer() -> None:
    def weather(city: str) -> str:
        raise KeyboardInterrupt

    engine = ScriptedEngine(CALL, ANSWER)
    chat = chat_with(engine, weather)
    with pytest.raises(KeyboardInterrupt):
        list(chat.send("?"))
    assert spoken(chat)[-1] == ("tool", "commentary", '{"error": "the call was interrupted"}')
    assert one(list(chat.send("Go on")), Completed).finish == "stop"


def test_an_engine_that_fails_leaves_the_conversation_usable() -> None:
    class Failing(ScriptedEngine):
        def generate(self, ids: Any, sampling: Any = None, *, mask: Any = None) -> Any:
            for step in super().generate(ids, sampling, mask=mask):
                yield step
                if len(self.prompts) == 1:
                    raise OSError("gone")

    chat = chat_with(Failing(ANSWER, ANSWER))
    with pytest.raises(OSError, match="gone"):
        list(chat.send("?"))
    assert one(list(chat.send("Again")), Completed).finish == "stop"


def test_what_cannot_be_written_is_refused_before_it_is_part_of_it() -> None:
    chat = chat_with(ScriptedEngine(ANSWER))
    with pytest.raises(RenderError, match="lone surrogate"):
        chat.send("\ud800")
    assert spoken(chat) == []
    with pytest.raises(RenderError, match="is no single word"):
        Chat(ScriptedEngine(), [Message.from_role_and_content(Role.USER, "hi").with_recipient("a b")])


def test_a_mask_is_made_for_each_completion() -> None:
    class Free:
        def allowed(self) -> None: ...

        def advance(self, token: int) -> None: ...

    engine = ScriptedEngine(CALL, ANSWER)
    seen: list[list[int]] = []

    def mask(prompt: list[int]) -> Free:
        seen.append(prompt)
        return Free()

    chat = chat_with(engine, lambda city: "rain", mask=mask)
    list(chat.send("?"))
    assert seen == engine.prompts
    assert len({id(each) for each in engine.masks}) == 2


def test_old_thoughts_go_as_the_configuration_says() -> None:
    for policy, thoughts in (("previous_turns", 0), ("never", 1)):
        engine = ScriptedEngine(THOUGHT + ANSWER, ANSWER)
        chat = chat_with(engine, config=RenderConfig(analysis=policy))  # type: ignore[arg-type]
        _ = [*chat.send("?"), *chat.send("And?")]
        assert ENCODING.decode(engine.prompts[1]).count("I should look.") == thoughts


def test_tools_are_plain_callables() -> None:
    async def later() -> str:
        return ""

    for tool in (later, "weather"):
        with pytest.raises(TypeError, match=r"tools\['weather'\]: expected a plain callable"):
            chat_with(ScriptedEngine(), tool)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="tools: expected callables by their names, found a list"):
        Chat(ScriptedEngine(), OPENING, [len])  # type: ignore[arg-type]


def test_an_engine_that_draws_no_steps_is_named() -> None:
    class Bare:
        def generate(self, ids: Any, sampling: Any = None, *, mask: Any = None) -> Any:
            yield from ENCODING.encode(ANSWER, allowed_special="all")

    chat = Chat(Bare(), OPENING)
    with pytest.raises(EngineError, match=r"^Bare: generate: expected steps .*, found 200005$"):
        list(chat.send("Hi"))
    assert spoken(chat) == [("user", None, "Hi")]


def test_a_specification_that_asks_for_a_call_asks_once() -> None:
    answer = "<|channel|>final<|message|>Done.<|return|>"
    engine = ScriptedEngine(CALL, answer, answer)
    spec = TurnSpec([ToolDescription.new("weather", "", {})], tool_choice="required")
    chat = chat_with(engine, lambda city: "rain", spec=spec)
    list(chat.send("?"))
    list(chat.send("And?", spec=TurnSpec(final=Regex("Done[.]|Later[.]"))))
    tokens = ENCODING.encode(answer, allowed_special="all")
    free = ENCODING.encode("<|channel|>final<|message|>No", allowed_special="all")
    masks = [mask for mask in engine.masks if isinstance(mask, Mask)]
    assert [mask.accepts(tokens) == len(tokens) for mask in masks] == [False, True, True]
    assert [mask.accepts(free) == len(free) for mask in masks] == [False, True, False]
