"""The published vectors that are not token streams: text, arguments, prompts."""

from __future__ import annotations

from typing import Any

import pytest
from test_parse_vectors import cases, plain

from harmony_py.chat.arguments import parse_arguments
from harmony_py.errors import ArgumentsError
from harmony_py.format.parse import StreamableParser
from harmony_py.format.text import parse_text
from harmony_py.tokenizer import Tokenizer
from tests.token_streams import ids


@pytest.mark.parametrize("case", cases("text"))
def test_text(case: dict[str, Any]) -> None:
    if "tokens" in case:
        assert Tokenizer.o200k_harmony().decode(case["tokens"]) == case["text"]
    result = parse_text(case["text"], case["role"], markers=case["markers"])
    assert list(map(plain, result.messages)) == case["messages"]


def test_other_markers_are_refused() -> None:
    with pytest.raises(ValueError, match="markers is one of spelled, stripped, not 'strip'"):
        parse_text("analysisHm.", markers="strip")  # type: ignore[arg-type]


@pytest.mark.parametrize("case", cases("arguments"))
def test_arguments(case: dict[str, Any]) -> None:
    if case["strict"]["valid"]:
        assert parse_arguments(case["text"]).repairs == ()
    else:
        with pytest.raises(ArgumentsError):
            parse_arguments(case["text"])
    options = {key: value for key, value in case.items() if key == "only_parameter"}
    if "value" in case["repair"]:
        found = parse_arguments(case["text"], repair=True, **options)
        assert (found.value, list(found.repairs)) == (case["repair"]["value"], case["repair"]["repairs"])
    else:
        with pytest.raises(ArgumentsError):
            parse_arguments(case["text"], repair=True, **options)


@pytest.mark.parametrize("case", cases("prompt"))
def test_prompt(case: dict[str, Any]) -> None:
    assert (ids(case["prompt_stream"]), ids(case["stream"])) == (case["prompt"], case["tokens"])
    parser = StreamableParser.from_prompt(None, case["prompt"])
    assert parser.state.value == case["state_after_prompt"]
    for token in case["tokens"]:
        parser.process(token)
    parser.process_eos()
    assert list(map(plain, parser.messages)) == case["messages"]
