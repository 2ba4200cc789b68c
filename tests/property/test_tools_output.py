"""What is kept of output: all of a little, beginning and end of much."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from harmony_py.tools.output import Output
from harmony_py.tools.python.messages import add_message

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["text", "data", "text/plain", "traceback", "x"]), inner, max_size=4
        )
    ),
    max_leaves=8,
)
KINDS = st.sampled_from(["stream", "execute_result", "display_data", "error", "status", ""])
PLAIN = st.text(st.characters(exclude_characters="\x1b\r"), max_size=30)


@given(st.lists(PLAIN), st.integers(1, 60))
def test_beginning_and_end_are_kept(pieces: list[str], characters: int) -> None:
    output = Output(characters)
    for piece in pieces:
        output.add(piece)
    whole = "".join(pieces)
    assert output.total == len(whole)
    if len(whole) <= characters:
        assert output.text() == whole.rstrip("\n")
    else:
        head, tail = characters - characters // 3, characters // 3
        left_out = f"\n[... {len(whole) - characters} characters left out ...]\n"
        kept = whole[:head] + left_out + whole[len(whole) - tail :]
        assert output.text() == kept.rstrip("\n")


@given(st.lists(st.tuples(KINDS, st.dictionaries(st.sampled_from(["text", "data", "traceback"]), JSON))))
def test_any_message_can_be_added(messages: list[tuple[str, dict[str, object]]]) -> None:
    output = Output(50)
    for kind, content in messages:
        add_message(output, kind, content)
    assert len(output.text()) <= 50 + 50
