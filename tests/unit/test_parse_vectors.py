"""The published vectors: what each kind of malformed output should give."""

from __future__ import annotations

import json
import re
from importlib import resources
from typing import Any

import openai_harmony
import pytest

from harmony_py.errors import ParseError
from harmony_py.format.parse import StreamableParser, parse
from tests.token_streams import fields, ids, upstream_encoding


def cases(kind: str) -> list[Any]:
    found = []
    for file in sorted(resources.files("harmony_py.testing.vectors").iterdir(), key=lambda file: file.name):
        if file.name.endswith(".json"):
            document = json.loads(file.read_text(encoding="utf-8"))
            if document["kind"] == kind:
                found += [
                    pytest.param(c, id=f"{document['pattern']}: {c['name']}") for c in document["cases"]
                ]
    assert found
    return found


def plain(message: Any) -> dict[str, str]:
    return {key: value for key, value in fields(message)._asdict().items() if value is not None}


@pytest.mark.parametrize("case", cases("tokens"))
def test_the_spelling_is_that_of_the_tokens(case: dict[str, Any]) -> None:
    assert (
        case["stream"] is None or ids(case["stream"]) == case["tokens"] or case["name"].startswith("refusal")
    )


@pytest.mark.parametrize("case", cases("tokens"))
def test_strict(case: dict[str, Any]) -> None:
    if "error" in case["strict"]:
        with pytest.raises(ParseError) as caught:
            parse(case["tokens"], case["role"], tools=case.get("tools"))
        assert caught.value.reason == case["strict"]["error"]
    else:
        result = parse(case["tokens"], case["role"], tools=case.get("tools"))
        assert list(map(plain, result.messages)) == case["strict"]["messages"]


@pytest.mark.parametrize("case", cases("tokens"))
def test_recover(case: dict[str, Any]) -> None:
    result = parse(case["tokens"], case["role"], policy="recover", tools=case.get("tools"))
    expected = case["recover"]
    assert list(map(plain, result.messages)) == expected["messages"]
    found = [{"code": d.code, "span": list(d.span), "detail": d.detail} for d in result.diagnostics]
    assert found == expected["diagnostics"]
    assert [[span.start, span.end] for span in result.spans if span.part == "noise"] == expected["noise"]
    assert list(result.pending.tokens if result.pending else []) == expected.get("pending", [])


@pytest.mark.parametrize("case", cases("tokens"))
def test_recover_token_by_token(case: dict[str, Any]) -> None:
    parser = StreamableParser(None, case["role"], policy="recover", tools=case.get("tools"))
    for token in case["tokens"]:
        parser.process(token)
    parser.process_eos()
    assert list(map(plain, parser.messages)) == case["recover"]["messages"]


@pytest.mark.parametrize("case", cases("tokens"))
def test_upstream_is_as_the_vectors_say(case: dict[str, Any]) -> None:
    role = case["role"] and openai_harmony.Role(case["role"])
    read = upstream_encoding().parse_messages_from_completion_tokens
    if "error" in case["openai_harmony"]:
        with pytest.raises(openai_harmony.HarmonyError, match=re.escape(case["openai_harmony"]["error"])):
            read(case["tokens"], role)
    else:
        assert list(map(plain, read(case["tokens"], role))) == case["openai_harmony"]["messages"]
