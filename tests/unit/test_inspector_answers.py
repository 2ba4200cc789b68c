"""What the inspector answers: compared with the parser, the harness, the masks and the vectors themselves."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harmony_py.chat import Conversation, ToolDescription
from harmony_py.chat.typescript import declaration
from harmony_py.constrain import Mask, TurnSpec
from harmony_py.errors import ParseError
from harmony_py.format.decode import to_bytes, to_text
from harmony_py.format.encoding import load_harmony_encoding
from harmony_py.format.parse import parse
from harmony_py.inspector.answer import answer
from harmony_py.inspector.examples import all_examples, conversations, schemas
from harmony_py.inspector.source import MOST_TOKENS, Kind, Source, guess, open_source, read_messages
from harmony_py.testing import vectors
from harmony_py.testing.implementation import Fields
from harmony_py.testing.mutate import OPERATORS, candidates, mutate
from harmony_py.testing.strategies import any_stream, well_formed
from harmony_py.testing.tokens import Stream, ids
from harmony_py.tokenizer.special import START
from harmony_py.wire import chat_completions, responses

SHOWN = any_stream.map(lambda tokens: [token for token in tokens if abs(token) < 2**53])
"""Larger ids are refused: a browser cannot tell them apart."""

ENCODING = load_harmony_encoding()
TOY = next(conversations()).source
MALFORMED = (
    "<|channel|>analysis<|message|>Think.<|end|><|start|>assistant<|channel|>final The answer.<|return|>"
)


def ask(source: Source | dict[str, Any], what: str = "view", **more: Any) -> dict[str, Any]:
    plain = source.model_dump() if isinstance(source, Source) else source
    return answer({"ask": what, "source": plain, **more})


def of_ids(tokens: list[int], role: str | None = "assistant", tools: list[str] | None = None) -> Source:
    return Source(kind="tokens", text=json.dumps(tokens), role=role or "none", tools=tools or [])


def replayed(followed: dict[str, Any]) -> list[Fields]:
    """The messages that the steps of a parse tell of, put together as the page does."""
    found: list[Fields] = []
    for event in (event for step in followed["steps"] for event in step):
        if event["kind"] == "start":
            found.append(Fields.of({key: value for key, value in event.items() if key != "kind"}))
        elif event["kind"] == "text":
            found[-1] = found[-1]._replace(text=found[-1].text + event["text"])
    return found


# -- views -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("example", all_examples(), ids=lambda example: example.name)
def test_every_example_can_be_looked_at(example: Any) -> None:
    view = ask(example.source)
    opened = open_source(example.source)
    assert [token["id"] for token in view["tokens"]] == opened.tokens
    found = parse(opened.tokens, opened.role, policy="recover", tools=opened.tools)
    assert replayed(view["recover"]) == list(map(Fields.of, found.messages))


@pytest.mark.parametrize(
    "case", [case for file in vectors.files() if file.kind == "tokens" for case in file.cases], ids=str
)
def test_vectors_are_seen_as_they_say(case: Any) -> None:
    view = ask(of_ids(case.tokens, case.role, case.data.get("tools")))
    wanted = case.data["recover"]
    assert [fields.plain() for fields in replayed(view["recover"])] == wanted["messages"]
    repairs = [event for step in view["recover"]["steps"] for event in step if event["kind"] == "repair"]
    assert sorted((r["code"], *r["span"]) for r in repairs) == sorted(
        (d["code"], *d["span"]) for d in wanted["diagnostics"]
    )
    noise = [index for index, token in enumerate(view["tokens"]) if token["part"] == "noise"]
    assert noise == [index for start, end in wanted["noise"] for index in range(start, end)]
    error = view["strict"]["error"]
    assert (error and error["reason"]) == case.data["strict"].get("error")


@given(SHOWN)
def test_any_stream_is_seen_as_it_is_parsed(tokens: list[int]) -> None:
    view = ask(of_ids(tokens))
    found = parse(tokens, "assistant", policy="recover")
    assert replayed(view["recover"]) == list(map(Fields.of, found.messages))
    spans = [(span.part, span.message) for span in found.spans for _ in range(span.start, span.end)]
    assert [(token["part"], token["message"]) for token in view["tokens"]] == spans
    assert len(view["recover"]["steps"]) == len(view["recover"]["states"]) == len(tokens) + 1
    try:
        strictly = list(map(Fields.of, parse(tokens, "assistant").messages))
    except (ParseError, OverflowError) as problem:
        error = view["strict"]["error"]
        assert error is not None
        if isinstance(problem, ParseError):
            assert (error["reason"], error["token"]) == (problem.reason, problem.token_index)
    else:
        assert view["strict"]["error"] is None
        assert replayed(view["strict"]) == strictly


@given(SHOWN)
def test_bytes_and_characters_are_those_of_the_text(tokens: list[int]) -> None:
    text = to_text(tokens)
    shown = ask(of_ids(tokens))["tokens"]
    assert b"".join(bytes.fromhex(t["bytes"]) or "\ufffd".encode() for t in shown) == to_bytes(tokens)
    for token in shown:
        start, end = token["characters"]
        assert 0 <= start <= end <= len(text)
        if token["text"] is not None and "\ufffd" not in text:
            assert text[start:end] == token["text"]
    covered = {index for token in shown for index in range(*token["characters"])}
    assert "\ufffd" in text or covered == set(range(len(text)))


def test_a_conversation_is_rendered_as_asked() -> None:
    messages = read_messages(TOY.text)
    rendered = {
        "whole": ENCODING.render_conversation(messages),
        "prompt": ENCODING.render_conversation_for_completion(messages),
        "training": ENCODING.render_conversation_for_training(messages),
    }
    for how, tokens in rendered.items():
        view = ask(TOY.model_copy(update={"render": how}))
        assert [token["id"] for token in view["tokens"]] == tokens
    assert [schema["name"] for schema in view["schemas"]] == ["functions.get_weather"]


@pytest.mark.parametrize("api", [chat_completions, responses])
def test_a_request_becomes_its_prompt(api: Any) -> None:
    request = json.loads(next(e.source.text for e in conversations() if e.source.kind == "request"))
    if api is responses:
        request = {"model": "gpt-oss-20b", "input": "Hi", "instructions": "Be brief."}
    source = Source(kind="request", text=json.dumps(request), render="prompt")
    wanted = ENCODING.render_conversation_for_completion(api.read_request(request).conversation)
    assert [token["id"] for token in ask(source)["tokens"]] == wanted
    assert guess(source.text) == "request"


def test_old_thoughts_are_left_out_and_that_is_said() -> None:
    thoughts = next(example.source for example in conversations() if "thoughts" in example.name)
    left_out, kept = ask(thoughts), ask(thoughts.model_copy(update={"analysis": "never"}))
    assert left_out["notes"] == ["Left out as old thoughts: message 1."]
    assert kept["notes"] == []
    assert len(replayed(kept["strict"])) == len(replayed(left_out["strict"])) + 1


def test_calls_are_checked() -> None:
    def checked(arguments: str) -> Any:
        call = f"<|channel|>commentary to=functions.f<|message|>{arguments}<|call|>"
        [end] = [
            e for s in ask(Source(kind="text", text=call))["strict"]["steps"] for e in s if e["kind"] == "end"
        ]
        return end["arguments"]

    assert checked('{"a": 1}') == {"problem": None, "repairs": [], "repaired": None}
    assert checked("[{'a': 1}]")["repaired"] == '{"a": 1}'
    assert checked("ls -R")["problem"].startswith("the arguments are not JSON")


# -- malformations -----------------------------------------------------------------------------------------


def test_what_fits_can_be_done_and_is_what_the_harness_does() -> None:
    opened = open_source(TOY)
    stream = Stream(opened.tokens, None, ())
    fitting = ask(TOY)["breakable"]
    assert set(fitting) == {pattern for pattern, _ in candidates(stream)}
    assert len(fitting) >= 20
    for pattern in fitting:
        for seed in range(3):
            wanted = mutate(stream, seed, patterns=[pattern])
            view = ask(TOY, pattern=pattern, seed=seed)
            assert [token["id"] for token in view["tokens"]] == [*wanted.prompt, *wanted.tokens]
            assert view["prompt"] == len(wanted.prompt)
            assert view["done"]["title"] == OPERATORS[pattern].title
            assert view["done"]["fault"] is None


def test_what_was_done_is_pointed_at() -> None:
    done = ask(TOY, pattern="M12")["done"]
    [[start, end]] = done["spans"]
    assert START in open_source(TOY).tokens[start : end + 1]
    assert done["what"]


def test_a_completion_can_lose_its_control_tokens() -> None:
    whole = MALFORMED.replace("final ", "final<|message|>")
    view = ask(Source(kind="text", text=whole), pattern="M23")
    assert [fields.text for fields in replayed(view["recover"])] == ["Think.", "The answer."]
    assert view["notes"]
    assert view["done"]["spans"] == []
    assert view["done"]["fault"] is None


def test_a_prompt_can_hold_the_beginning() -> None:
    whole = MALFORMED.replace("final ", "final<|message|>")
    view = ask(Source(kind="text", text=whole), pattern="M27")
    assert view["prompt"] > 0
    assert view["role"] is None
    assert [fields.text for fields in replayed(view["strict"])] == ["Think.", "The answer."]


@given(well_formed(), st.data())
def test_whatever_is_broken_is_recovered(stream: Stream, data: st.DataObject) -> None:
    source = of_ids(stream.tokens, stream.role)
    fitting = ask(source)["breakable"]
    if not fitting:
        return
    view = ask(source, pattern=data.draw(st.sampled_from(fitting)), seed=data.draw(st.integers(0, 99)))
    assert view["done"]["fault"] is None


def test_only_what_is_well_formed_is_broken() -> None:
    assert ask(Source(kind="text", text=MALFORMED))["breakable"] == []
    literal = "<|channel|>commentary to=assistant<|message|>I'll look.<|end|>"
    assert ask(Source(kind="text", text=literal))["strict"]["error"] is None
    assert ask(Source(kind="text", text=literal))["breakable"] == []
    assert ask(Source(kind="text", text=MALFORMED), pattern="M1") == {
        "error": "M1: it does not fit this stream"
    }


# -- masks -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("pattern", [None, "M2", "M6", "M16"])
def test_masks_say_what_a_mask_made_at_that_place_says(pattern: str | None) -> None:
    """The slow twin: a mask of its own for each place."""
    found = ask(TOY, "allowed", **({"pattern": pattern} if pattern else {}))
    view = ask(TOY, **({"pattern": pattern} if pattern else {}))
    tokens = [token["id"] for token in view["tokens"]]
    [developer] = [
        part
        for message in read_messages(TOY.text)
        for part in message.content
        if message.author.role == "developer"
    ]
    spec = TurnSpec(tools=list(developer.tools.values()))
    said = [(index, sentence) for index, sentence in enumerate(found["sentences"]) if sentence is not None]
    assert len(said) > 30
    for index, sentence in said:
        assert Mask.from_spec(spec, tokens[:index]).explain() == sentence
    assert bool(found["refused"]) == (pattern is not None)
    for index in found["refused"]:
        mask = Mask.from_spec(spec, tokens[:index])
        assert mask.accepts(tokens[index : index + 1]) == 0


def test_masks_are_silent_outside_the_assistants_messages() -> None:
    found = ask(TOY, "allowed")
    view = ask(TOY)
    users = {i for i, fields in enumerate(replayed(view["strict"])) if fields.role != "assistant"}
    assert len(users) == 4
    inside = [
        sentence
        for token, sentence in zip(view["tokens"], found["sentences"], strict=False)
        if token["message"] in users
    ]
    assert set(inside) == {None}
    assert ask(Source(kind="text", text=MALFORMED), "allowed")["sentences"] == [None] * (
        len(ids(MALFORMED)) + 1
    )


def test_a_schema_that_no_mask_can_follow_is_told() -> None:
    messages = json.loads(TOY.text)["messages"]
    messages[1]["content"][0]["tools"]["functions"]["tools"][0]["parameters"] = {"$ref": "#/nowhere"}
    found = ask(Source(kind="conversation", text=json.dumps(messages)), "allowed")
    assert "nowhere" in found["problem"]


def test_without_the_extra_everything_else_is_there() -> None:
    script = (
        "import json, sys; sys.modules['llguidance'] = None\n"
        "from harmony_py.inspector import answer\n"
        "from harmony_py.inspector.examples import conversations\n"
        "source = next(conversations()).source.model_dump()\n"
        "asked = [answer({'ask': what, 'source': source}) for what in ('view', 'allowed')]\n"
        "print(json.dumps(asked))\n"
    )
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    view, allowed = json.loads(ran.stdout)
    assert view == ask(TOY)
    assert "pip install 'harmony-py[constrain]'" in allowed["problem"]
    assert set(allowed["sentences"]) == {None}


# -- schemas -----------------------------------------------------------------------------------------------


def test_both_styles_are_shown_and_what_differs_is_marked() -> None:
    text = schemas()[0]["text"]
    found = answer({"ask": "typescript", "text": text})
    tool = ToolDescription(**json.loads(text))
    for style in ("upstream", "extended"):
        assert "\n".join(line for line, _ in found[style]["lines"]) == declaration(tool, style)
        assert found[style]["tokens"] == len(ENCODING.encode(declaration(tool, style)))
    shared = [[line for line, own in found[style]["lines"] if not own] for style in ("upstream", "extended")]
    assert shared[0] == shared[1]
    assert ["sort?: any,", True] in found["upstream"]["lines"]
    wrapped = json.dumps({"type": "function", "function": json.loads(text)})
    assert answer({"ask": "typescript", "text": wrapped}) == found
    alone = answer({"ask": "typescript", "text": json.dumps(json.loads(text)["parameters"])})
    assert alone["upstream"]["lines"][0][0] == "type tool = (_: {"


# -- what cannot be read -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("question", "error"),
    [
        (None, "question: it: Input should be a valid dictionary or instance of AboutStream"),
        (
            {"ask": "nothing", "source": TOY.model_dump()},
            "question: ask: Input should be 'view' or 'allowed'",
        ),
        ({"ask": "view"}, "question: source: Field required"),
        ({"ask": "view", "source": {"kind": "text"}}, "question: source.text: Field required"),
        (
            {"ask": "view", "source": {"kind": "text", "text": "", "more": 1}},
            "question: source.more: Extra inputs are not permitted",
        ),
        ({"ask": "typescript", "text": 1}, "question: text: Input should be a valid string"),
        (
            {"ask": "typescript", "text": "[]"},
            "schema: expected an object: a tool, or the schema of its arguments",
        ),
        ({"ask": "view", "source": TOY.model_dump(), "pattern": "M99"}, "pattern: there is no 'M99'"),
    ],
)
def test_questions_that_are_none(question: Any, error: str) -> None:
    assert answer(question) == {"error": error}


@pytest.mark.parametrize(
    ("kind", "text", "error"),
    [
        ("conversation", "{", "line 1, column 2: Expecting property name enclosed in double quotes"),
        ("conversation", "3", 'conversation: expected {"messages": [...]} or a list of messages'),
        ("conversation", "[3]", "message 0: expected an object, found a int"),
        ("conversation", '[{"role": "user"}]', "message 0: no 'content'"),
        ("conversation", '[{"role": "king", "content": ""}]', "message 0: Unknown role: 'king'"),
        (
            "conversation",
            '[{"role": "user", "content": [{"type": "text"}]}]',
            "message 0: text: Field required",
        ),
        (
            "conversation",
            '[{"role": "assistant", "recipient": "a b", "content": ""}]',
            "message 0, recipient: ",
        ),
        ("conversation", "[" * 100_000, "JSON: maximum recursion depth exceeded"),
        ("request", '{"messages": 3}', "Missing required parameter: 'model'."),
        ("request", "[]", "Invalid type for the request: expected an object"),
        ("tokens", "1 2 x", "item 2: expected a token id, found 'x'"),
        ("tokens", "[1, true]", "item 1: expected a token id, found true"),
        ("tokens", "1" + "0" * 18, f"item 0: 1{'0' * 18} is far from any token id"),
        ("text", "a " * (MOST_TOKENS + 1), "too long: "),
    ],
)
def test_sources_that_cannot_be_read(kind: str, text: str, error: str) -> None:
    assert ask({"kind": kind, "text": text})["error"].startswith(error)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(), max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
FLAT = st.fixed_dictionaries(
    {"role": st.sampled_from(["user", "assistant", "tool", "system", "developer"]), "content": JSON},
    optional=dict.fromkeys(("name", "channel", "recipient", "content_type"), JSON),
)


@given(JSON, st.sampled_from(get_args(Kind)), st.lists(FLAT | JSON, max_size=3))
def test_nothing_that_is_asked_raises(anything: Any, kind: str, messages: list[Any]) -> None:
    answers = [
        answer(anything),
        answer({"ask": "view", "source": anything}),
        ask({"kind": kind, "text": json.dumps(anything)}),
        ask({"kind": "conversation", "text": json.dumps(messages)}),
        ask({"kind": "conversation", "text": json.dumps(messages)}, "allowed"),
        answer({"ask": "typescript", "text": json.dumps(anything)}),
        answer({"ask": "typescript", "text": json.dumps({"name": "f", "parameters": anything})}),
    ]
    for found in answers:
        assert json.loads(json.dumps(found)) == found


@given(st.text(st.characters(), max_size=40), st.sampled_from(get_args(Kind)))
def test_no_text_raises(text: str, kind: str) -> None:
    json.dumps(ask({"kind": kind, "text": text}))


@pytest.mark.parametrize("depth", [100, 900, 960, 975, 990, 2000])
def test_nothing_is_nested_too_deep(depth: int) -> None:
    """Neither for the parsers of JSON and schemas nor for the harness: an answer, whatever it is."""
    deep = '{"a":' * depth + "1" + "}" * depth
    tool = f'{{"name": "f", "parameters": {deep}}}'
    functions = f'{{"functions": {{"name": "functions", "tools": [{tool}]}}}}'
    content = f'[{{"type": "developer_content", "tools": {functions}}}]'
    call = f"<|channel|>commentary to=functions.f<|message|>{deep}<|call|>"
    assert answer({"ask": "typescript", "text": tool})
    assert ask(Source(kind="text", text=call))["strict"]["error"] is None
    for what in ("view", "allowed"):
        assert ask({"kind": "conversation", "text": f'[{{"role": "developer", "content": {content}}}]'}, what)


def test_what_a_file_holds_is_guessed() -> None:
    assert guess(TOY.text) == guess(json.dumps(Conversation().to_dict())) == "conversation"
    assert guess("[200006, 1428]") == guess("200006 1428\n") == guess("200006,1428") == guess("7") == "tokens"
    assert guess(MALFORMED) == guess("") == guess('"text"') == "text"
