"""What malformed headers are taken to mean, one by one."""

from __future__ import annotations

import pytest

from harmony_py.format.mend import nearest_tool
from harmony_py.format.parse import parse
from tests.token_streams import ids

A = "assistant"


@pytest.mark.parametrize(
    ("header", "role", "channel", "recipient", "content_type", "codes"),
    [
        ("<|channel|>commentary to=f to=g", A, "commentary", "g", None, ["repeated_recipient"]),
        ("<|channel|>commentaryto=functions.f", A, "commentary", "functions.f", None, ["unusual_header"]),
        ('<|channel|>commentary to="functions.f"', A, "commentary", "functions.f", None, ["unusual_header"]),
        ("<|channel|>commentary to= functions.f", A, "commentary", "functions.f", None, ["unusual_header"]),
        ("<|channel|>commentary json to=f", A, "commentary", "f", "json", ["unusual_header"]),
        ("assistantto=functions.f<|channel|>final", A, "final", "functions.f", None, ["unusual_header"]),
        ("<|channel|>commentary to=f json and more", A, "commentary", "f", "json", ["unexpected_words"]),
        ("<|channel|>analysis functions.f and more", A, "analysis", "functions.f", None, None),
        ("<|channel|>final<|reserved_200013|>", A, "final", None, None, ["unusual_header"]),
        ("<|channel|>b<|channel|>final<|channel|>c", A, "final", None, None, ["repeated_channel"]),
        ("final", A, "final", None, None, ["missing_channel"]),
        ("<|start|>final to=a.b json<|constrain|>x", None, "final", "a.b", "<|constrain|>x", None),
        ("<|start|>to=a.b<|channel|>commentary", None, "commentary", "a.b", None, ["missing_role"]),
        ("<|channel|>FINAL", A, "final", None, None, ["misspelt_channel"]),
        ("<|channel|>anaylsis", A, "analysis", None, None, ["misspelt_channel"]),
        ("<|channel|>custom", A, "custom", None, None, []),
    ],
)
def test_headers(
    header: str,
    role: str | None,
    channel: str | None,
    recipient: str | None,
    content_type: str | None,
    codes: list[str] | None,
) -> None:
    result = parse(ids(header + "<|message|>text<|end|>"), role, policy="recover")
    (message,) = result.messages
    assert message.text == "text"
    assert (message.channel, message.recipient, message.content_type) == (channel, recipient, content_type)
    if codes is not None:
        assert [diagnostic.code for diagnostic in result.diagnostics] == codes


def test_bytes_that_are_no_text_do_not_hide_the_rest_of_a_header() -> None:
    tokens = [*ids("<|channel|>final to=functions.f"), 9552, 300_000, *ids("<|message|>text<|end|>")]
    result = parse(tokens, "assistant", policy="recover")
    assert [(m.channel, m.text) for m in result.messages] == [("final", "text")]
    assert {"invalid_token"} < {diagnostic.code for diagnostic in result.diagnostics}


TOOLS = frozenset({"functions.shell", "functions.get_x", "browser.search", "python", "functions.search"})


@pytest.mark.parametrize(
    ("recipient", "tool"),
    [
        ("functions.shell", "functions.shell"),
        ("shell", "functions.shell"),
        ("functions.shelljson", "functions.shell"),
        ("get_xjson", "functions.get_x"),
        ("functions.shell..commentary", "functions.shell"),
        ("functions.shell.", "functions.shell"),
        ("functions.python", "python"),
        ("search", "search"),  # two tools have that name
        ("functions.nothing", "functions.nothing"),
        ("json", "json"),
        ("", ""),
        ("." * 1000 + "json", "." * 1000 + "json"),
    ],
)
def test_tools(recipient: str, tool: str) -> None:
    assert nearest_tool(recipient, TOOLS) == tool
