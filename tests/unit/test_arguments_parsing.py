"""The arguments of tool calls: JSON, or an error that says why not, or a repair that says what."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harmony_py.chat import Message, Role
from harmony_py.chat.arguments import parse_arguments
from harmony_py.errors import ArgumentsError, HarmonyError

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
objects = st.dictionaries(st.text(), values, max_size=4)


@given(objects)
def test_json_objects_need_no_repair(value: dict[str, object]) -> None:
    assert parse_arguments(json.dumps(value)) == (value, ())
    plain = parse_arguments(json.dumps(value, indent=2), repair=True)
    assert plain.value == value or plain.repairs == ("call",)


@given(st.text())
def test_any_text_gives_an_object_or_an_arguments_error(text: str) -> None:
    for repair in (False, True):
        try:
            found = parse_arguments(text, repair=repair)
        except ArgumentsError as error:
            problem = error
        else:
            assert isinstance(found.value, dict)
            json.dumps(found.value, allow_nan=False)
            continue
        assert problem.text == text
        assert 0 <= problem.position <= len(text)


@given(objects)
def test_a_fence_is_that_around_everything(value: dict[str, object]) -> None:
    value = {"text": "```py\nx\n```", **value}
    found = parse_arguments(f"```json\n{json.dumps(value)}\n```\n", repair=True)
    assert found == (value, ("code_fence",))


@given(objects, st.data())
def test_a_cut_object_keeps_what_was_complete(value: dict[str, object], data: st.DataObject) -> None:
    text = json.dumps(value)
    cut = text[: data.draw(st.integers(1, len(text)))]
    found = parse_arguments(cut, repair=True)
    if found.repairs != ("call",):
        assert set(found.value) <= set(value)
        assert all(found.value[key] == value[key] for key in list(found.value)[:-1])
    assert found.repaired or cut == text


def test_a_message_gives_its_arguments() -> None:
    message = Message.from_role_and_content(Role.ASSISTANT, '[{"city": "Łódź"}]').with_recipient(
        "functions.f"
    )
    with pytest.raises(ArgumentsError, match="array, not an object"):
        message.arguments()
    assert message.arguments(repair=True).value == {"city": "Łódź"}
    assert message.arguments(repair=True).repaired


@pytest.mark.parametrize(
    ("text", "problem", "position"),
    [
        ("ls -R", "the arguments are not JSON", 0),
        ('{"a": 1}}', "the arguments are not JSON: Extra data", 8),
        ("[1]", "the arguments are a JSON array, not an object", 0),
        ('"x"', "the arguments are a JSON string, not an object", 0),
        ("null", "the arguments are a JSON null, not an object", 0),
        ("true", "the arguments are a JSON boolean, not an object", 0),
        ("1.5", "the arguments are a JSON number, not an object", 0),
        ('{"a": NaN}', "NaN is no JSON", 0),
        ("[" * 100_000, "nested too deeply", 0),
        ("1" * 100_000, "the arguments are", 0),
    ],
)
def test_errors_say_what_is_wrong_and_where(text: str, problem: str, position: int) -> None:
    with pytest.raises(HarmonyError) as caught:
        parse_arguments(text)
    error = caught.value
    assert isinstance(error, ArgumentsError)
    assert problem in error.problem
    assert (error.text, error.position) == (text, position)
    assert f"at character {position}" in str(error)


@pytest.mark.parametrize(
    "text",
    [
        "[" * 50_000,
        '{"a":' * 50_000,
        "{" * 50_000,
        '"' * 50_000,
        "/*" * 50_000,
        "\\" * 50_000,
        "[,]" * 50_000,
    ],
)
def test_hostile_text_is_refused_in_good_time(text: str) -> None:
    for repair in (False, True):
        try:
            parse_arguments(text, repair=repair)
        except ArgumentsError:
            pass
        else:
            assert repair
