"""What goes wrong where messages begin and end: M1 to M3, M10 to M12, M15, M16, M18, M19, M25, M27."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harmony_py.testing.implementation import Fields
from harmony_py.testing.mutate.operator import Draft, Edit, Operator
from harmony_py.testing.tokens import header, ids
from harmony_py.tokenizer.special import CALL, CHANNEL, END, END_OF_TEXT, MESSAGE, RETURN

if TYPE_CHECKING:
    from harmony_py.testing.mutate.operator import Choose, Place


def _behind_an_end(all_: list[Place], i: int) -> bool:
    return all_[i].prompted or (i > 0 and all_[i - 1].stop_tokens == [END])


def _missing_header(all_: list[Place], i: int, choose: Choose) -> Draft:
    place = all_[i]
    bare = place.fields._replace(channel=None, recipient=None, content_type=None)
    return Draft("M1", "header left out", [Edit(place.start, place.body, [])], {i: [bare]})


def _missing_message(all_: list[Place], i: int, choose: Choose) -> Draft:
    place = all_[i]
    gap = choose([[], ids(" ")])
    return Draft("M2", "<|message|> left out", [Edit(place.body - 1, place.body, gap)])


def _can_miss_message(all_: list[Place], i: int) -> bool:
    place = all_[i]
    fields = place.fields
    # Behind a recipient's name only a brace tells where the content begins.
    told = fields.recipient is None or fields.content_type is not None or fields.text.startswith("{")
    short = fields.content_type in (None, "json", "code", "<|constrain|>json")
    return place.is_assistant and place.is_plain and fields.channel is not None and told and short


def _free_text(all_: list[Place], i: int, choose: Choose) -> Draft:
    place = all_[i]
    words = choose(["We need to look this up.", "??", "The user asks."])
    junk = ids(f"<|channel|>{words}<|end|><|start|>assistant")
    at = place.start if place.prompted else place.start + 2
    return Draft("M3", "a message that is free text behind <|channel|>", [Edit(at, at, junk)])


def _missing_start(all_: list[Place], i: int, choose: Choose) -> Draft:
    start = all_[i].start
    count, what = choose([(1, "<|start|> left out"), (2, "<|start|>assistant left out")])
    return Draft("M10", what, [Edit(start, start + count, [])])


def _is_own_start(all_: list[Place], i: int) -> bool:
    return i > 0 and all_[i].is_assistant and all_[i].tokens[2] in (CHANNEL, MESSAGE)


def _text_between(all_: list[Place], i: int, choose: Choose) -> Draft:
    at = all_[i].start
    text = choose(["Now calling.", "\n\n", " ok"])
    return Draft("M11", "text between two messages", [Edit(at, at, ids(text))])


def _repeated_start(all_: list[Place], i: int, choose: Choose) -> Draft:
    place = all_[i]
    if place.prompted:
        more = choose(["<|start|>assistant<|start|>assistant", "assistantassistant"])
    else:
        more = choose(["<|start|>", "<|start|>assistant"])
    what = f"{more} written before the header"
    # Without a marker it is a word like any other, where a recipient may stand.
    return Draft(
        "M12", what, [Edit(place.start, place.start, ids(more))], literal=more == "assistantassistant"
    )


def _tokens_after_the_end(all_: list[Place], i: int, choose: Choose) -> Draft:
    at = all_[i].stop
    more = choose([[CALL] * 4, [END_OF_TEXT] * 2, [RETURN]])
    return Draft("M15", "more terminators, or padding", [Edit(at, at, more)])


def _other_terminator(all_: list[Place], i: int, choose: Choose) -> Draft:
    place = all_[i]
    last = i == len(all_) - 1
    stops = [stop for stop in ([END], [RETURN], *([[]] if last else [])) if stop != place.stop_tokens]
    stop = choose(stops)
    return Draft("M16", "a call that does not end in <|call|>", [Edit(place.end, place.stop, stop)])


def _unknown_role(all_: list[Place], i: int, choose: Choose) -> Draft:
    at = all_[i].start
    name = choose(["bash", "shell"])
    fields = Fields("tool", name, "commentary", text="Files: none.")
    tokens = [*header(fields), *ids(fields.text), END]
    return Draft("M18", f"a message of {name}", [Edit(at, at, tokens)], {i: [fields, all_[i].fields]})


def _missing_end(all_: list[Place], i: int, choose: Choose) -> Draft:
    place = all_[i]
    return Draft("M19", "terminator left out", [Edit(place.end, place.stop, [])], literal=True)


def _hallucinated_result(all_: list[Place], i: int, choose: Choose) -> Draft:
    place = all_[i]
    called = place.fields.recipient or ""
    result = Fields("tool", called, "commentary", "assistant", text=choose(["20", "Nothing found."]))
    tokens = [*header(result, channel_first=False), *ids(result.text), END]
    what = "the result of a call, which no model can know"
    return Draft("M25", what, [Edit(place.stop, place.stop, tokens)], {i: [place.fields, result]})


def _continuation(all_: list[Place], i: int, choose: Choose) -> Draft:
    place = all_[i]
    start = [*ids("<|start|>assistant")] if place.prompted else []
    cut = choose([at for at in (place.body - 1, place.body) if at > place.start + 2 * (not place.prompted)])
    prompt = (*start, *place.tokens[: cut - place.start])
    return Draft("M27", "the prompt holds its beginning", [Edit(0, cut, [])], prompt=prompt)


OPERATORS = [
    Operator(
        "M1",
        "no header",
        frozenset({"missing_header"}),
        lambda p, i: p[i].is_assistant and p[i].is_plain and _behind_an_end(p, i),
        _missing_header,
    ),
    Operator("M2", "no <|message|>", frozenset({"missing_message"}), _can_miss_message, _missing_message),
    Operator(
        "M3",
        "free text behind <|channel|>",
        frozenset({"noise"}),
        lambda p, i: p[i].is_assistant,
        _free_text,
    ),
    Operator("M10", "no <|start|>", frozenset({"missing_start"}), _is_own_start, _missing_start),
    Operator("M11", "text between messages", frozenset({"noise"}), lambda p, i: i > 0, _text_between),
    Operator(
        "M12",
        "a header begun again",
        frozenset({"repeated_start"}),
        lambda p, i: p[i].is_assistant,
        _repeated_start,
    ),
    Operator(
        "M15",
        "tokens after the end",
        frozenset({"noise"}),
        lambda p, i: p[i].stop_tokens != [],
        _tokens_after_the_end,
    ),
    Operator(
        "M16",
        "an unusual terminator",
        frozenset(),
        lambda p, i: p[i].is_call and p[i].stop_tokens == [CALL],
        _other_terminator,
    ),
    Operator(
        "M18",
        "an author that is no role",
        frozenset({"unknown_role"}),
        lambda p, i: not p[i].prompted,
        _unknown_role,
    ),
    Operator(
        "M19",
        "no terminator",
        frozenset({"missing_end"}),
        lambda p, i: i < len(p) - 1 and p[i].stop_tokens != [],
        _missing_end,
    ),
    Operator(
        "M25",
        "an invented tool result",
        frozenset({"hallucinated_tool_result"}),
        lambda p, i: (
            p[0].prompted and p[i].is_call and "." in (p[i].fields.recipient or "") and p[i].stop_tokens != []
        ),
        _hallucinated_result,
    ),
    Operator(
        "M27",
        "begins inside a message",
        frozenset(),
        lambda p, i: i == 0 and p[0].is_assistant,
        _continuation,
        whole=True,
    ),
]
