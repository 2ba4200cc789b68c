"""The judge: what counts as lost, merged, invented or misread, and what does not."""

from __future__ import annotations

import pytest

from harmony_py.testing.implementation import Fields
from harmony_py.testing.judge import find_fault

THOUGHT = Fields("assistant", None, "analysis", text="Think.")
CALL = Fields("assistant", None, "commentary", "functions.f", "json", "{}")
ANSWER = Fields("assistant", None, "final", text="Hi.")


@pytest.mark.parametrize(
    ("meant", "found"),
    [
        ([], []),
        ([THOUGHT, ANSWER], [THOUGHT, ANSWER]),
        # A channel that is not told, stray text that is kept, text with more around it.
        ([ANSWER], [ANSWER._replace(channel=None)]),
        ([ANSWER], [ANSWER, Fields("assistant", text="stray")]),
        ([ANSWER], [ANSWER._replace(text="Well: Hi.")]),
        # What says nothing need not be there.
        ([ANSWER._replace(text=" "), THOUGHT], [THOUGHT]),
        # Bytes that are no text may look like anything.
        ([ANSWER._replace(text="a\ufffdb")], [ANSWER._replace(text="a\ufffd\ufffdb")]),
        ([CALL], [CALL._replace(content_type="<|constrain|>json")]),
        # What was meant as text may spell what it likes.
        ([ANSWER._replace(text="<|end|>")], [ANSWER._replace(text="<|end|>")]),
    ],
)
def test_what_is_right(meant: list[Fields], found: list[Fields]) -> None:
    assert find_fault(meant, found) is None


@pytest.mark.parametrize(
    ("meant", "found", "kind"),
    [
        ([ANSWER], [], "text lost"),
        ([ANSWER], [ANSWER._replace(text="Hi")], "text lost"),
        ([ANSWER._replace(text="a  b")], [ANSWER._replace(text="a b")], "text lost"),
        ([THOUGHT, ANSWER], [THOUGHT._replace(text="Think.Hi.")], "messages merged"),
        ([ANSWER], [ANSWER._replace(role="tool")], "another role"),
        ([ANSWER], [ANSWER._replace(channel="analysis")], "another channel"),
        ([ANSWER], [ANSWER._replace(recipient="json")], "a recipient that nobody named"),
        ([CALL], [CALL._replace(recipient=None)], "call lost"),
        ([CALL], [CALL._replace(recipient="functions.g")], "another recipient"),
        ([CALL], [CALL._replace(recipient="functions.f<|channel|>")], "control token in the recipient"),
        ([ANSWER], [ANSWER, CALL], "a call that nobody made"),
        ([ANSWER], [ANSWER, Fields("user", text="Hello")], "a message that nobody wrote"),
        ([ANSWER], [ANSWER._replace(text="Hi.<|endoftext|>")], "structure taken for text"),
    ],
)
def test_what_is_wrong(meant: list[Fields], found: list[Fields], kind: str) -> None:
    fault = find_fault(meant, found)
    assert fault is not None
    assert fault.kind == kind
