"""Nothing is lost on the way from conversations to shards, and every token keeps its mask."""

from __future__ import annotations

import json
import os
import tempfile
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harmony_py import HarmonyEncoding, Message
from harmony_py.engines.shards import Recipe, make_shards, read_shards, verify
from harmony_py.engines.shards.packing import pack
from harmony_py.engines.shards.plan import plan
from harmony_py.engines.shards.records import records
from harmony_py.errors import HarmonyError
from harmony_py.testing.strategies import dialogues
from harmony_py.tokenizer.special import END_OF_TEXT

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from harmony_py.engines.shards.layout import Bounds
    from harmony_py.testing.implementation import FlatMessage

ENCODING = HarmonyEncoding()


@pytest.fixture(autouse=True, scope="module")
def _quick_disk() -> Iterator[None]:
    """Nothing here is about power cuts."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda handle: None)
        yield


Sampled = list[tuple["Bounds", list[int], list[bool]]]


def shards_of(lines: Iterable[bytes], recipe: Recipe) -> tuple[dict[str, Any], Sampled, list[dict[str, Any]]]:
    """The manifest, the samples with their ids and masks, and the errors."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "in.jsonl").write_bytes(b"\n".join(lines))
        manifest = make_shards([folder / "in.jsonl"], folder / "out", recipe)
        assert verify(folder / "out") == manifest
        samples: Sampled = []
        for row in read_shards(folder / "out"):
            assert not recipe.pack or len(row.ids) == recipe.length
            for each in row.samples:
                cut = slice(each.start, each.stop)
                samples.append((each, list(row.ids[cut]), [bool(bit) for bit in row.mask[cut]]))
            end = row.samples[-1].stop
            assert set(row.ids[end:]) <= {END_OF_TEXT}
            assert not any(row.mask[end:])
        errors = []
        if manifest["errors"]:
            text = (folder / "out" / "errors.jsonl").read_text("utf-8")
            errors = [json.loads(line) for line in text.splitlines()]
        assert not (folder / "out" / "unfinished").exists()
        return manifest, samples, errors


def as_lines(conversations: Iterable[list[FlatMessage]]) -> list[bytes]:
    return [json.dumps({"messages": flat}).encode() for flat in conversations]


@given(
    st.lists(dialogues(), min_size=1, max_size=6),
    st.none() | st.integers(20, 400),
    st.booleans(),
    st.sampled_from([1, 500, 2000, 2**20]),
)
def test_shards_are_the_renderings_of_the_conversations(
    conversations: list[list[FlatMessage]], length: int | None, pack_rows: bool, shard_bytes: int
) -> None:
    recipe = Recipe(
        length=length,
        pack=pack_rows and length is not None,
        overlong="split",
        shard_bytes=shard_bytes,
        turns="all",
    )
    manifest, samples, errors = shards_of(as_lines(conversations), recipe)
    lost = {error["line"] for error in errors}
    assert all("tokens in one message, more than" in error["error"] for error in errors)
    assert length is not None or not lost
    for line, flat in enumerate(conversations, 1):
        messages = [Message.from_dict(message) for message in flat]
        expected = ENCODING.render_detailed(messages, training=True)
        assert expected.tokens == ENCODING.render_conversation_for_training(messages)
        pieces = sorted((each for each in samples if each[0].line == line), key=lambda each: each[0].part)
        assert [bounds.part for bounds, _, _ in pieces] == list(range(len(pieces)))
        assert bool(pieces) != (line in lost)
        if pieces:
            assert [token for _, ids, _ in pieces for token in ids] == expected.tokens
            mask = [bit for _, _, bits in pieces for bit in bits]
            firsts = {sum(len(ids) for _, ids, _ in pieces[:part]) for part in range(len(pieces))}
            wanted = [bit and i not in firsts for i, bit in enumerate(expected.loss_mask)]
            assert mask == wanted
        assert len(pieces) == 1 or length is not None
    counts = manifest["counts"]
    assert counts["records"] == len(conversations) == counts["conversations"] + counts["errors"]
    assert counts["tokens"] == sum(len(ids) for _, ids, _ in samples)
    assert counts["trained"] == sum(sum(bits) for _, _, bits in samples)


@given(st.lists(dialogues(), min_size=1, max_size=4), st.sampled_from(["last", "each"]))
def test_a_turn_is_trained_on_as_the_model_spoke_it(
    conversations: list[list[FlatMessage]], turns: Any
) -> None:
    _, samples, errors = shards_of(as_lines(conversations), Recipe(turns=turns))
    for line, flat in enumerate(conversations, 1):
        ends = [
            index
            for index, message in enumerate(flat, 1)
            if message["role"] == "assistant" and (index == len(flat) or flat[index]["role"] == "user")
        ]
        found = [(ids, bits) for bounds, ids, bits in samples if bounds.line == line]
        ends = ends if turns == "each" else [len(flat)]
        assert bool(ends) != any(error["line"] == line for error in errors)
        expected = []
        for end in ends:
            messages = [Message.from_dict(message) for message in flat[:end]]
            start = max(index for index, message in enumerate(messages) if message.author.role == "user")
            rendered = ENCODING.render_detailed(messages, training=True)
            of_turn = {i for span in rendered.spans if span.message > start for i in range(*span[:2])}
            expected.append(
                (rendered.tokens, [bit and i in of_turn for i, bit in enumerate(rendered.loss_mask)])
            )
        assert found == expected


@given(st.lists(dialogues(), min_size=1, max_size=4), st.integers(20, 300))
def test_what_is_truncated_ends_with_a_whole_message(
    conversations: list[list[FlatMessage]], length: int
) -> None:
    _, samples, errors = shards_of(as_lines(conversations), Recipe(length=length, overlong="truncate"))
    assert len(samples) + len(errors) == len(conversations)
    for bounds, ids, bits in samples:
        messages = [Message.from_dict(message) for message in conversations[bounds.line - 1]]
        expected = ENCODING.render_detailed(messages, training=True)
        ends = [span.end for span in expected.spans if span.part == "terminator"]
        best = max(end for end in ends if end <= length)
        assert (ids, bits) == (expected.tokens[:best], expected.loss_mask[:best])


good = dialogues().map(lambda flat: json.dumps({"messages": flat}).encode())
bad = st.binary(max_size=40).filter(lambda line: b"\n" not in line) | st.sampled_from(
    [
        b"{",
        b"1",
        b"null",
        b"[]",
        b'{"messages": 3}',
        b'{"messages": []}',
        b'{"messages": [{"role": "user"}]}',
        b'{"messages": [{"role": "tool", "content": "a"}]}',
        b'{"messages": [{"role": "user", "content": "a", "tool_calls": []}]}',
        b'{"messages": [{"role": "user", "content": "\\ud800"}]}',
        b'{"messages": [{"role": "user", "content": [{"type": "image"}]}]}',
        b'{"messages": "[{"}',
        b"[" * 100_000,
        b"9" * 5000,
    ]
)


@given(
    st.lists(good | bad, max_size=8), st.sampled_from([1, 300, 2**20]), st.sampled_from(["harmony", "chat"])
)
def test_a_bad_record_stops_nothing_and_is_kept(lines: list[bytes], shard_bytes: int, form: Any) -> None:
    manifest, samples, errors = shards_of(lines, Recipe(form=form, shard_bytes=shard_bytes))
    counts = manifest["counts"]
    filled = [number for number, line in enumerate(lines, 1) if line.strip()]
    lost = [error["line"] for error in errors]
    assert counts["records"] == len(filled)
    assert sorted([*lost, *(bounds.line for bounds, _, _ in samples)]) == filled
    for error in errors:
        line = lines[error["line"] - 1]
        assert error["raw"] == line.decode("utf-8", "backslashreplace").rstrip("\r\n")
        assert error["error"]


@given(
    st.lists(st.binary(max_size=30).filter(lambda line: b"\n" not in line), max_size=12),
    st.booleans(),
    st.integers(1, 60),
)
def test_slices_have_the_lines_that_the_file_has(lines: list[bytes], ends: bool, shard_bytes: int) -> None:
    content = b"\n".join(lines) + (b"\n" if ends and lines else b"")
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "in.jsonl"
        path.write_bytes(content)
        inputs, shards = plan([path], Recipe(shard_bytes=shard_bytes))
        found = [record for pieces in shards for piece in pieces for record in records(piece, ())]
    assert inputs[0].bytes == len(content)
    stripped = [(number, line) for number, line in enumerate(lines, 1) if line.strip()]
    assert [record.line for record in found] == [number for number, _ in stripped]
    for record, (_, line) in zip(found, stripped, strict=True):
        assert record.raw == line.decode("utf-8", "backslashreplace").rstrip("\r\n")
    for pieces in shards:
        size = sum(piece.stop - piece.start for piece in pieces)
        step = max(1, shard_bytes // 4)
        longest = max(map(len, lines)) + 1
        assert size <= max(shard_bytes, step + longest)


@given(st.lists(st.integers(1, 50), max_size=60))
def test_packed_rows_hold_everything_once_and_are_well_filled(lengths: list[int]) -> None:
    rows = pack(lengths, 50)
    assert sorted(index for row in rows for index in row) == list(range(len(lengths)))
    sizes = [sum(lengths[index] for index in row) for row in rows]
    assert all(size <= 50 for size in sizes)
    # No two rows could be one.
    assert all(a + b > 50 for a, b in combinations(sizes, 2))
    assert rows == sorted(map(sorted, rows))


@given(st.text(max_size=20))
def test_a_recipe_is_refused_or_survives_json(word: str) -> None:
    try:
        recipe = Recipe(form=word, channels=(word,))  # type: ignore[arg-type]
    except HarmonyError as problem:
        assert repr(word) in str(problem)
        recipe = Recipe(channels=(word, ""))
    assert Recipe.from_dict(json.loads(json.dumps(recipe.to_dict()))) == recipe
