"""What holds of every patch: it makes of one text the other, or it changes nothing."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from harmony_py.errors import ToolError
from harmony_py.tools.apply_patch import ApplyPatch
from harmony_py.tools.apply_patch.envelope import read
from tests.patches import envelope, section

# Few different lines, so that places look alike; among them what other tools take for structure or line ends.
LINE = st.sampled_from(
    [
        "",
        " ",
        "a",
        "b",
        " a",
        "a ",
        "\ta",
        "\x0b",
        "x\u2028y",
        "x\ry",
        "@@",
        "@@ a",
        "+a",
        "-a",
        "*** End Patch",
        "é",
    ]
) | st.text(st.characters(exclude_characters="\n", exclude_categories=["Cs"]), max_size=6).filter(
    lambda line: not line.endswith("\r")
)
LINES = st.lists(LINE, max_size=12)


def written(lines: list[str], end: str, ends: bool) -> bytes:
    return (end.join(lines) + (end if ends and lines else "")).encode()


@given(LINES, LINES, st.sampled_from(["\n", "\r\n"]), st.booleans(), st.integers(0, 3))
@example(["a", "a", "a"], ["a", "a"], "\n", False, 0)
@example([], ["a"], "\n", True, 0)
def test_the_patch_between_two_texts_makes_one_of_the_other(
    before: list[str], after: list[str], end: str, ends: bool, around: int
) -> None:
    if before == after or (not ends and (before[-1:] == [""] or after[-1:] == [""])):
        return  # without a last newline an empty last line is none
    if not before:
        end, ends = "\n", True  # an empty file has no line ends to keep
    if not after:
        ends = True
    if len(before) < 2 and not ends:
        end = "\n"  # neither has a file of one line
    with tempfile.TemporaryDirectory() as name:
        file = Path(name, "f")
        file.write_bytes(written(before, end, ends))
        assert ApplyPatch(name).run(envelope(section("f", before, after, around))) == "Done!"
        assert file.read_bytes() == written(after, end, ends)


@given(st.lists(st.tuples(LINE, st.sampled_from(["\n", "\r\n"])), min_size=1), LINES, st.data())
def test_lines_that_stay_keep_their_ends(
    before: list[tuple[str, str]], added: list[str], data: st.DataObject
) -> None:
    at = data.draw(st.integers(0, len(before)))
    lines = [line for line, _ in before]
    patch = envelope(["*** Update File: f", *(f" {line}" for line in lines[:at]), *(f"+{a}" for a in added)])
    if not at and not added:
        return
    with tempfile.TemporaryDirectory() as name:
        file = Path(name, "f")
        file.write_bytes("".join(line + end for line, end in before).encode())
        ApplyPatch(name).run(patch)
        end = before[at - 1 if at else 0][1]
        made = [*before[:at], *((line, end) for line in added), *before[at:]]
        assert file.read_bytes() == "".join(line + end for line, end in made).encode()


@pytest.mark.parametrize(
    "line",
    [
        "",
        "@@",
        "@@ a",
        " a",
        " ",
        "+a",
        "-a",
        "*** End of File",
        "*** Update File: f",
        "*** Add File: g",
        "{",
        "x",
    ],
)
@pytest.mark.parametrize("first", ["*** Update File: f", "*** Update File: f\n@@\n a\n*** End of File"])
def test_a_patch_takes_time_in_proportion(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, first: str, line: str
) -> None:
    monkeypatch.setattr("harmony_py.tools.apply_patch.matching.SECONDS", 0.1)
    (tmp_path / "f").write_text("a\n" * 30_000)
    lines = [line] * (200_000 // (len(line) + 1))
    before = time.process_time()
    try:
        ApplyPatch(tmp_path).run(envelope([first, *lines]))
    except ToolError as error:
        assert len(str(error)) < 5000
    assert time.process_time() - before < 5


STARTS = ["*** Begin Patch", "*** End Patch", "*** Add File: g", "*** Update File: f", "*** Delete File: f"]
PIECE = st.sampled_from(
    [
        *STARTS,
        "*** Add File: ../g",
        "*** Update File: /etc/passwd",
        "*** Move to: h",
        "*** Move to: ../h",
        "*** End of File",
        "@@",
        "@@ b",
        " a",
        "-b",
        "+c",
        "",
        "{",
        "b",
    ]
)


@given(st.lists(PIECE | LINE, max_size=10), st.booleans())
def test_what_is_no_patch_changes_nothing(lines: list[str], framed: bool) -> None:
    text = envelope(lines) if framed else "\n".join(lines)
    with tempfile.TemporaryDirectory() as name:
        inner = Path(name, "inner")
        inner.mkdir()
        Path(inner, "f").write_text("a\nb\nc\n")
        try:
            answer = ApplyPatch(inner).run(text)
        except ToolError:
            assert {path.name: path.read_text() for path in inner.iterdir()} == {"f": "a\nb\nc\n"}
        else:
            assert answer == "Done!"
        assert [path.name for path in Path(name).iterdir()] == ["inner"]


@given(st.text(max_size=200))
def test_reading_says_what_is_wrong_whatever_it_reads(text: str) -> None:
    with pytest.raises(ToolError):
        read(text)
