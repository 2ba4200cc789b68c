"""Conversations to tokens."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from harmony_py.testing.implementation import Fields, Reading, RefusedError
from harmony_py.testing.invariants.parsing import compare
from harmony_py.testing.invariants.violation import invariant, wrong
from harmony_py.testing.tokens import spelled
from harmony_py.tokenizer.special import START_OF_TEXT

if TYPE_CHECKING:
    from harmony_py.testing.implementation import FlatMessage, Implementation

_EVERYONE = "all"


def _fields(message: FlatMessage) -> Fields:
    text = "".join(part["text"] for part in message["content"])
    optional = {key: message.get(key) for key in ("name", "channel", "content_type")}
    recipient = message.get("recipient")
    return Fields(
        message["role"], recipient=None if recipient == _EVERYONE else recipient, text=text, **optional
    )


@invariant
def rendered_conversations_read_back(implementation: Implementation, conversation: list[FlatMessage]) -> None:
    """What an implementation renders, it can parse: the messages are the same, field by field."""
    tokens = [token for message in conversation for token in implementation.render([message])]
    compare(list(map(_fields, conversation)), Reading.of(implementation.parse(tokens, None)).messages)


@invariant
def prompts_end_in_an_open_header(implementation: Implementation, conversation: list[FlatMessage]) -> None:
    """A prompt, which ends in `<|start|>assistant`, can be parsed like anything else that was rendered."""
    whole = list(implementation.render(conversation))
    prompt = list(implementation.render(conversation, next_role="assistant"))
    if prompt[: len(whole)] != whole or spelled(prompt[len(whole) :]) != "<|start|>assistant":
        wrong("another prompt", f"{spelled(prompt)!r}")
    compare(
        Reading.of(implementation.parse(whole, None)).messages,
        Reading.of(implementation.parse(prompt, None)).messages,
    )


@invariant
def headers_cannot_be_forged(implementation: Implementation, conversation: list[FlatMessage]) -> None:
    """Whatever name, recipient, channel or type a message has: it is refused, or the header says just that.

    Names of tools come from strangers. A tool whose results read as a system message is an attack.
    """
    for message in conversation:
        try:
            tokens = list(implementation.render([message]))
        except RefusedError:
            continue
        try:
            found = Reading.of(implementation.parse(tokens, None)).messages
        except RefusedError as refusal:
            # Behind an odd word, it may be that nobody can read the header. Then nobody is fooled by it.
            if _is_odd(message):
                continue
            raise refusal
        if len(found) != 1:
            wrong("another number of messages", f"{spelled(tokens)!r} is {len(found)} messages")
        meant = _fields(message)
        for field, want, have in zip(Fields._fields, meant, found[0], strict=True):
            if want != have and not (field == "content_type" and _same_type(want, have)):
                wrong(f"forged {field}", f"{spelled(tokens)!r} has {field} {have!r} instead of {want!r}")


def _same_type(want: str | None, have: str | None) -> bool:
    """The documentation of the format has a space that no parser takes."""
    return (want or "").replace("<|constrain|> ", "<|constrain|>") == have


def _is_odd(message: FlatMessage) -> bool:
    """Whether the author is named or a field is no plain word: nobody need understand that header."""
    words = [message.get(key) for key in ("channel", "recipient", "content_type")]
    return message.get("name") is not None or any(
        word is not None and not word.isidentifier() for word in words
    )


@invariant
def tools_cannot_declare_others(implementation: Implementation, tool: dict[str, Any]) -> None:
    """However a tool is called and described, its declaration is one, and holds no control token."""
    functions = {"name": "functions", "tools": [tool]}
    content = {"type": "developer_content", "tools": {"functions": functions}}
    try:
        tokens = list(implementation.render([{"role": "developer", "content": [content]}]))
    except RefusedError:
        return
    if sum(token >= START_OF_TEXT for token in tokens) != 3:
        wrong("a control token in a declaration", spelled(tokens))
    _, _, text = spelled(tokens).partition("<|message|>")
    starts = ("# ", "type ", "} // namespace")
    lines = [line for line in text.split("\n") if line.startswith(starts)]
    if len(lines) != 3:  # the section, the tool, the end of the namespace
        wrong("a tool declares more than itself", "; ".join(lines))


@invariant
def prompts_grow_at_their_end(implementation: Implementation, conversation: list[FlatMessage]) -> None:
    """Within a turn, what was rendered before is the beginning of what is rendered after.

    Engines keep what they computed of a prompt's beginning. Old thoughts may go where the user speaks again.
    """
    before: list[int] = []
    for count in range(1, len(conversation) + 1):
        after = list(implementation.render(conversation[:count]))
        if conversation[count - 1]["role"] != "user" and after[: len(before)] != before:
            shared = next(i for i, token in enumerate([*before, -1]) if [*after, -2][i] != token)
            wrong(
                "a prompt changes behind its end",
                f"with message {count - 1}, only {shared} of {len(before)} tokens stay",
            )
        before = after


@invariant
def training_keeps_the_last_thoughts(implementation: Implementation, conversation: list[FlatMessage]) -> None:
    """A sample to train on holds the thoughts that led to its last answer."""
    text = spelled(implementation.render(conversation, training=True))
    last = max((i for i, message in enumerate(conversation) if message["role"] == "user"), default=-1)
    for message in conversation[last + 1 :]:
        if message["role"] == "assistant" and message.get("channel") == "analysis":
            said = f"<|message|>{_fields(message).text}<|"
            if said not in text:
                wrong("thoughts left out", f"{said!r} is not in {text!r}")


@invariant
def everyone_is_nobody(implementation: Implementation, conversation: list[FlatMessage]) -> None:
    """A message to `all` is rendered like one without a recipient: it is no call."""
    for message in conversation:
        plain = {key: value for key, value in message.items() if key != "recipient"}
        meant = list(implementation.render([plain]))
        found = list(implementation.render([{**plain, "recipient": _EVERYONE}]))
        if found != meant:
            wrong("another message", f"{spelled(found)!r} instead of {spelled(meant)!r}")


@invariant
def messages_survive_a_dump(implementation: Implementation, conversation: list[FlatMessage]) -> None:
    """Dumped and read again, a message says what it said."""
    compare(list(map(_fields, conversation)), list(map(_fields, implementation.reload(conversation))))
