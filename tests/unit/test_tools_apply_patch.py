"""apply_patch: where hunks fit, what is refused, and that nothing is changed by halves."""

from __future__ import annotations

import json
import os
import time
from typing import TYPE_CHECKING

import pytest

from harmony_py.chat.typescript import declaration
from harmony_py.engines.chat import Chat, ToolAnswered
from harmony_py.errors import ToolError
from harmony_py.tools.apply_patch import INSTRUCTIONS, ApplyPatch
from harmony_py.tools.apply_patch.envelope import read
from tests.patches import envelope
from tests.scripted_engine import ScriptedEngine

if TYPE_CHECKING:
    from pathlib import Path


def patched(tmp_path: Path, before: str, *lines: str) -> str:
    """What becomes of a file by one update."""
    file = tmp_path / "f"
    file.write_bytes(before.encode())
    assert ApplyPatch(tmp_path).run(envelope(["*** Update File: f", *lines])) == "Done!"
    return file.read_bytes().decode()


def refused(tmp_path: Path, *lines: str) -> str:
    """Why a patch is refused, which leaves everything as it was."""
    before = snapshot(tmp_path)
    with pytest.raises(ToolError) as caught:
        ApplyPatch(tmp_path).run(envelope([*lines]))
    assert snapshot(tmp_path) == before
    return str(caught.value)


def snapshot(folder: Path) -> dict[str, tuple[int, bytes | None]]:
    return {
        str(path): (path.lstat().st_mode, path.read_bytes() if path.is_file() else None)
        for path in sorted(folder.rglob("*"))
    }


def test_add_update_move_delete(tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text("def greet():\n    print('Hi')\n")
    (tmp_path / "app.py").chmod(0o750)
    (tmp_path / "old.txt").write_text("old")
    patch = envelope(
        ["*** Add File: notes/new.txt", "+one", "+", "+two"],
        ["*** Update File: app.py", "*** Move to: src/main.py", "@@ def greet():"],
        ["-    print('Hi')", "+    print('Hello')"],
        ["*** Delete File: old.txt"],
    )
    assert ApplyPatch(tmp_path).run(patch) == "Done!"
    assert {p.relative_to(tmp_path).as_posix(): p.read_text() for p in tmp_path.rglob("*.*")} == {
        "notes/new.txt": "one\n\ntwo\n",
        "src/main.py": "def greet():\n    print('Hello')\n",
    }
    assert (tmp_path / "src/main.py").stat().st_mode & 0o777 == 0o750


@pytest.mark.parametrize(
    "wrap",
    [
        str,
        json.dumps,
        lambda patch: json.dumps({"patch": patch}),
        lambda patch: f"\n{patch}\n\n",
        lambda patch: patch.replace("\n", "\r\n"),
    ],
)
def test_a_patch_comes_plain_or_in_json(tmp_path: Path, wrap: object) -> None:
    assert callable(wrap)
    assert ApplyPatch(tmp_path).run(wrap(envelope(["*** Add File: f", "+a"]))) == "Done!"
    assert (tmp_path / "f").read_bytes() == b"a\n"


@pytest.mark.parametrize(
    ("before", "lines", "after"),
    [
        ("a\nb\na\nb\n", ["@@", " a", "-b", "+c"], "a\nc\na\nb\n"),
        ("a\nb  \nc\n", ["@@", " a", "-b", "+B", " c"], "a\nB\nc\n"),
        ("\ta  \nb\n", ["@@", " a", "-b", "+B"], "\ta  \nB\n"),
        ("a \nx\na\nx\n", ["@@", " a", "-x", "+y"], "a \nx\na\ny\n"),
        ("a\nb\na\n", ["@@", "-a", "+z", "*** End of File"], "a\nb\nz\n"),
        ("a\nb\n", ["@@", "-a", "+z", "*** End of File"], "z\nb\n"),
        ("a\n", ["@@", "+z", "*** End of File"], "a\nz\n"),
        ("a\n", ["@@", "+z"], "z\na\n"),
        ("x\nf:\nx\n", ["@@ f:", "-x", "+y"], "x\nf:\ny\n"),
        ("x\n  f:\nx\n", ["@@ f:", "-x", "+y"], "x\n  f:\ny\n"),
        ("A\nf\nx\nB\nf\nx\n", ["@@ B", "@@ f", "-x", "+y"], "A\nf\nx\nB\nf\ny\n"),
        ("f\nx\nx\n", ["@@ f", "-x", "+y", "@@ f", "-x", "+z"], "f\ny\nz\n"),
        ("g\nf\nx\n", ["@@ f", " f", "-x", "+y"], "g\nf\ny\n"),
        ("g\nf\nx\n", ["@@ f", " f", "-x", "*** End of File"], "g\nf\n"),
        ("a\nb\n", ["@@ -7,2 +7,3 @@ def f", " a", "+z"], "a\nz\nb\n"),
        ("a\nb\n", [" a", "-b"], "a\n"),
        ("a\n\nb\n", ["@@", " a", "", "-b", "+c"], "a\n\nc\n"),
        ("a\nb\n", ["@@", "-b", "+c", "", ""], "a\nc\n"),
        ("a\r\nb\r\n", ["@@", " a", "+z"], "a\r\nz\r\nb\r\n"),
        ("a\nb", ["@@", " a", "-b", "+c", "+d"], "a\nc\nd"),
        ("\ufeffa\n", ["@@", "+z", "*** End of File"], "\ufeffa\nz\n"),
        ("a\x0bb\u2028c\x0cd\n", ["@@", "+z", "*** End of File"], "a\x0bb\u2028c\x0cd\nz\n"),
    ],
)
def test_where_hunks_fit(tmp_path: Path, before: str, lines: list[str], after: str) -> None:
    assert patched(tmp_path, before, *lines) == after


@pytest.mark.parametrize(
    ("lines", "reason"),
    [
        (
            ["*** Update File: f", "@@", " a", "-x", "+c"],
            "'f': hunk 1: from line 1 on the file does not have",
        ),
        (["*** Update File: f", "@@", " a", "-x", "+c"], "Closest is line 1; but line 2 is 'b'."),
        (["*** Update File: f", "@@", "-b", "@@", "-a"], "hunk 2: from line 3 on"),
        (["*** Update File: f", "@@", "-b", "@@", "-a"], "only stands above"),
        (["*** Update File: f", "@@", "-q"], "is nowhere in the file"),
        (["*** Update File: f", "@@ def g", "-a"], "the line 'def g', behind which it should be, is not in"),
        (["*** Update File: f", "@@", "a"], "line 4 of the patch: expected ' ', '-' or '+'"),
        (["*** Update File: f", "@@"], "line 3 of the patch: expected lines that begin with"),
        (["*** Update File: f"], "changes nothing"),
        (["*** Update File: g", "@@", "-a"], "'g': there is no such file"),
        (["*** Delete File: g"], "'g': there is no such file"),
        (["*** Delete File: d"], "'d': expected a file"),
        (["*** Add File: f", "+a"], "'f': there is such a file already"),
        (["*** Add File: f/g", "+a"], "nothing was changed"),
        (
            ["*** Add File: g", "a"],
            "line 3 of the patch: expected '+' before each line of a new file, found 'a'",
        ),
        (["*** Rename File: f"], "line 2 of the patch: expected '*** Add File: '"),
        ([], "the patch has no section"),
        (["*** Delete File: f", "*** Delete File: ./f"], "'f' is changed twice"),
        (["*** Update File: f", "*** Move to: d"], "'d': there is such a file already"),
        (["*** Update File: latin", "@@", "+a"], "'latin': no text in UTF-8"),
        (["*** Add File: ok", "+a", "*** Delete File: g"], "'g': there is no such file"),
    ],
)
def test_what_is_refused_is_said_and_changes_nothing(tmp_path: Path, lines: list[str], reason: str) -> None:
    (tmp_path / "f").write_text("a\nb\n")
    (tmp_path / "d").mkdir()
    (tmp_path / "latin").write_bytes(b"\xe9\n")
    assert reason in refused(tmp_path, *lines)


@pytest.mark.parametrize(
    "name",
    [
        "../out",
        "a/../../out",
        "a/..",
        "/etc/passwd",
        "//etc/passwd",
        "C:\\x",
        "C:x",
        "\\\\host\\x",
        "link/x",
        "linked",
        "loop",
        ".git/hooks/pre-commit",
        "sub/.GIT/config",
        "a\x00b",
        "a\x1bb",
        "",
        ".",
        "x" * 2000,
        "y" * 300,
    ],
)
@pytest.mark.parametrize(
    "section", ["*** Add File: ", "*** Delete File: ", "*** Update File: f\n*** Move to: "]
)
def test_no_name_leads_out_of_the_folder(tmp_path: Path, name: str, section: str) -> None:
    folder = tmp_path / "folder"
    outside = tmp_path / "outside"
    for each in (folder, outside):
        each.mkdir()
        (each / "f").write_text("a\n")
    (folder / "link").symlink_to(outside)
    (folder / "linked").symlink_to(outside / "f")
    (folder / "loop").symlink_to("loop")
    lines = f"{section}{name}".split("\n")
    if section.startswith("*** Add"):
        lines.append("+x")
    refused(folder, *lines)
    assert [path.name for path in outside.iterdir()] == ["f"]


def test_a_failure_in_the_middle_is_undone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "f").write_text("a\n")
    (tmp_path / "g").write_text("b\n")
    (tmp_path / "h").write_text("c\n")
    replace = os.replace
    replaced: list[str] = []

    def failing(source: str, target: Path) -> None:
        if target.name == "new" and not replaced.count("new"):
            replaced.append("new")
            raise OSError(28, "No space left on device")
        replaced.append(target.name)
        replace(source, target)

    monkeypatch.setattr(os, "replace", failing)
    reason = refused(
        tmp_path,
        *["*** Delete File: h", "*** Update File: f", "@@", "-a", "+z"],
        *["*** Add File: h/deep/er", "+n", "*** Add File: new", "+n"],
    )
    assert reason == "nothing was changed: No space left on device"
    assert replaced == ["f", "er", "new", "f", "h"]


def test_if_undoing_fails_too_that_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "f").write_text("a\n")
    replace = os.replace

    def failing(source: str, target: Path) -> None:
        if (tmp_path / "f").read_text() == "z\n":
            raise OSError(5, "Input/output error")
        replace(source, target)

    monkeypatch.setattr(os, "replace", failing)
    with pytest.raises(ToolError, match="undoing it failed, so that some files are changed"):
        ApplyPatch(tmp_path).run(envelope(["*** Update File: f", "@@", "-a", "+z", "*** Add File: g", "+g"]))


def test_a_search_made_to_be_slow_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("harmony_py.tools.apply_patch.matching.SECONDS", 0.2)
    (tmp_path / "f").write_text("a\n" * 200_000)
    before = time.monotonic()
    reason = refused(tmp_path, "*** Update File: f", "@@", *[" a"] * 20_000, "-b")
    assert "no place found within 0.2 seconds" in reason
    assert time.monotonic() - before < 5


def test_what_is_too_large_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("harmony_py.tools.apply_patch.LARGEST", 3)
    (tmp_path / "f").write_text("aaaa")
    assert "4 bytes are too many" in refused(tmp_path, "*** Update File: f", "@@", "-aaaa")
    assert "at most 1048576 are taken" in refused(tmp_path, "*** Add File: g", "+" + "a" * 2**20)


def test_surrogates_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ToolError, match="cannot be written in UTF-8"):
        ApplyPatch(tmp_path).run(json.dumps(envelope(["*** Add File: f", "+\ud800"])))


def test_the_model_is_told_of_it(tmp_path: Path) -> None:
    [tool] = ApplyPatch(tmp_path).tools
    assert (
        declaration(tool)
        == "// Edits files.\n// A patch, as it stands.\ntype apply_patch = (_: string) => any;"
    )
    example = INSTRUCTIONS[INSTRUCTIONS.index("*** Begin") : INSTRUCTIONS.index("*** End Patch") + 13]
    assert [type(section).__name__ for section in read(example)] == ["Add", "Update", "Delete"]


def test_the_chat_loop_runs_it(tmp_path: Path) -> None:
    call = "<|channel|>commentary to=functions.apply_patch<|message|>{}<|call|>"
    answer = "<|channel|>final<|message|>Done.<|return|>"
    patch = envelope(["*** Add File: f", "+a"])
    engine = ScriptedEngine(call.format(patch), call.format(patch), answer)
    chat = Chat(engine, tools=ApplyPatch(tmp_path).callables)
    answered = [event for event in chat.send("Go.") if isinstance(event, ToolAnswered)]
    refusal = "'f': there is such a file already; update or delete it"
    assert [(event.text, event.error) for event in answered] == [("Done!", None), (refusal, refusal)]
    assert chat.messages[4].text == refusal
