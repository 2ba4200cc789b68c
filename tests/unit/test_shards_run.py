"""Runs: what they refuse, what they keep, how they go on; the command."""

from __future__ import annotations

import json
import multiprocessing
import os
import sys
from typing import TYPE_CHECKING, Any

import pytest

from harmony_py.cli import FAILED, MISUSED, main
from harmony_py.engines.shards import Recipe, make_shards, read_shards, summary, verify
from harmony_py.engines.shards import records as reading
from harmony_py.engines.shards.build import build
from harmony_py.errors import ShardError
from harmony_py.format.encoding import load_harmony_encoding

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from harmony_py.engines.shards.build import Task

ENCODING = load_harmony_encoding()
QUESTION = {"role": "user", "content": "Hi"}
ANSWER = {"role": "assistant", "channel": "final", "content": "Hello."}


def write(path: Path, *records: Any) -> Path:
    path.write_text("".join(json.dumps(record) + "\n" for record in records), "utf-8")
    return path


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def errors_of(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "errors.jsonl").read_text("utf-8").splitlines()]


# -- what a record may be ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("record", "recipe"),
    [
        ({"messages": [QUESTION, ANSWER], "id": 7, "tags": None}, Recipe()),
        ([QUESTION, ANSWER], Recipe()),
        ({"talk": [QUESTION, ANSWER]}, Recipe(column="talk")),
        ({"talk": {"messages": [QUESTION, ANSWER]}}, Recipe(column="talk")),
        ({"talk": json.dumps([QUESTION, ANSWER])}, Recipe(column="talk")),
        ({"talk": json.dumps({"messages": [QUESTION, ANSWER]})}, Recipe(column="talk")),
    ],
)
def test_a_conversation_may_be_given_in_these_forms(record: Any, recipe: Recipe, tmp_path: Path) -> None:
    make_shards([write(tmp_path / "in.jsonl", record)], tmp_path / "out", recipe)
    (row,) = read_shards(tmp_path / "out")
    expected = (
        "<|start|>user<|message|>Hi<|end|><|start|>assistant<|channel|>final<|message|>Hello.<|return|>"
    )
    assert ENCODING.decode(list(row.ids)) == expected


def test_answers_on_no_channel_are_told(tmp_path: Path) -> None:
    """OpenAI's own form reads as ours where nothing is in it but roles and texts."""
    openai = [QUESTION, {"role": "assistant", "content": "Hello."}]
    source = write(tmp_path / "in.jsonl", openai, [QUESTION, ANSWER], openai)
    told = "2 conversations where the assistant speaks on no channel, which models never do"
    manifest = make_shards([source], tmp_path / "harmony", Recipe())
    assert manifest["counts"]["channelless"] == 2
    assert told in summary(manifest)
    manifest = make_shards([write(tmp_path / "in.jsonl", openai)], tmp_path / "chat", Recipe(form="chat"))
    assert manifest["counts"]["channelless"] == 0
    assert "no channel" not in summary(manifest)


def test_chat_completions_with_tools_and_thoughts(tmp_path: Path) -> None:
    call = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    record = {
        "messages": [
            QUESTION,
            {"role": "assistant", "content": None, "reasoning_content": "Ask f.", "tool_calls": [call]},
            {"role": "tool", "tool_call_id": "c", "content": "20"},
            {"role": "assistant", "content": "20."},
        ],
        "tools": [{"type": "function", "function": {"name": "f"}}],
        "reasoning_effort": "low",
        "id": "the data set's own",
    }
    make_shards([write(tmp_path / "in.jsonl", record)], tmp_path / "out", Recipe(form="chat"))
    (row,) = read_shards(tmp_path / "out")
    trained = [token for token, wanted in zip(row.ids, row.mask, strict=True) if wanted]
    assert "Reasoning: low" in ENCODING.decode(list(row.ids))
    assert ENCODING.decode(trained) == (
        "<|channel|>analysis<|message|>Ask f.<|end|>"
        "<|start|>assistant to=functions.f<|channel|>commentary <|constrain|>json<|message|>{}<|call|>"
        "<|channel|>final<|message|>20.<|return|>"
    )


@pytest.mark.parametrize("turns", ["all", "last", "each"])
def test_messages_without_weight_are_not_trained_on(tmp_path: Path, turns: Any) -> None:
    call = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    spoken = [
        {"reasoning_content": "Thought 0.", "content": "Words 0.", "tool_calls": [call], "weight": 0},
        {"content": "Words 1.", "weight": 1},
        {"content": "Words 2.", "weight": 0},
        {"content": "Words 3."},
    ]
    first, second, third, fourth = ({"role": "assistant", **each} for each in spoken)
    result = {"role": "tool", "tool_call_id": "c", "content": "20"}
    record = {
        "messages": [QUESTION, first, result, second, QUESTION, third, QUESTION, fourth],
        "tools": [{"type": "function", "function": {"name": "f"}}],
    }
    source = write(tmp_path / "in.jsonl", record)
    make_shards([source], tmp_path / "out", Recipe(form="chat", turns=turns, analysis="never"))
    trained = [
        ENCODING.decode([token for token, wanted in zip(row.ids, row.mask, strict=True) if wanted])
        for row in read_shards(tmp_path / "out")
    ]
    words = [f"<|channel|>final<|message|>Words {number}." for number in (1, 3)]
    wanted = {
        "all": [f"{words[0]}<|end|>{words[1]}<|return|>"],
        "last": [f"{words[1]}<|return|>"],
        "each": [f"{words[0]}<|return|>", "", f"{words[1]}<|return|>"],
    }
    assert trained == wanted[turns]
    verify(tmp_path / "out")


@pytest.mark.parametrize(
    ("record", "form", "reason"),
    [
        ({"text": "a"}, "harmony", "record: no field 'messages'; there are 'text'"),
        ("a", "harmony", "record: expected an object or a list of messages, found a str"),
        ({"messages": "hm"}, "harmony", "messages: expected a list of messages, found a str"),
        ({"messages": {"m": 1}}, "harmony", "messages: expected a list of messages, found nothing"),
        ({"messages": [QUESTION, 3]}, "harmony", "messages[1]: expected an object, found a int"),
        ({"messages": [{"role": "user"}]}, "harmony", "messages[0]: no 'content'"),
        (
            {"messages": [{**ANSWER, "tool_calls": []}]},
            "harmony",
            "messages[0]: unknown field 'tool_calls'; chat completions need the form 'chat'",
        ),
        (
            {"messages": [{"role": "user", "content": [{"type": "text", "text": "a", "image": "b"}]}]},
            "harmony",
            "messages[0].content[0]: unknown field 'image'",
        ),
        ({"messages": [{"role": "user", "content": [{"type": []}]}]}, "harmony", "messages[0]: "),
        ({"messages": [{**QUESTION, "weight": 0}]}, "chat", "Unknown parameter: 'messages[0].weight'."),
        (
            {"messages": [QUESTION, {"role": "assistant", "content": "a", "weight": 0.5}]},
            "chat",
            "messages[1].weight: expected 0 or 1, found 0.5",
        ),
        ({"messages": [QUESTION], "tools": "[1"}, "chat", "tools: no JSON: "),
        ({"messages": [QUESTION]}, "chat", ""),
    ],
)
def test_errors_name_the_place(record: Any, form: Any, reason: str, tmp_path: Path) -> None:
    source = write(tmp_path / "in.jsonl", [QUESTION, ANSWER], record)
    manifest = make_shards([source], tmp_path / "out", Recipe(form=form))
    errors = [error for error in errors_of(tmp_path / "out") if error["line"] == 2] if reason else []
    assert manifest["counts"]["errors"] == len(errors) + (form == "chat")
    for error in errors:
        assert error["error"].startswith(reason)
        assert (error["file"], json.loads(error["raw"])) == (str(source), record)


def test_a_line_beyond_all_measure_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "LONGEST_LINE", 2000)
    source = tmp_path / "in.jsonl"
    long = b'"' + b"a" * 9000 + b'"'
    good = json.dumps([QUESTION]).encode()
    for lines in ([long, good], [good, long], [long[:2000], good], [good, long[:2000]]):
        source.write_bytes(b"\n".join(lines))
        make_shards([source], tmp_path / "out")
        (error,) = errors_of(tmp_path / "out")
        size = max(map(len, lines)) + (lines[0] != good)
        if size > 2000:
            assert error["error"].startswith(f"a line of {size} bytes, more than 2000")
            assert error["raw"] == '"' + "a" * 999
        assert [row.samples[0].line for row in read_shards(tmp_path / "out")] == [3 - error["line"]]
        for path in (tmp_path / "out").iterdir():
            path.unlink()


def test_a_byte_order_mark_is_passed_over(tmp_path: Path) -> None:
    source = tmp_path / "in.jsonl"
    source.write_bytes(b"\xef\xbb\xbf" + json.dumps([QUESTION]).encode() + b"\r\n")
    assert make_shards([source], tmp_path / "out")["counts"]["conversations"] == 1


# -- what is made of them ----------------------------------------------------------------------------------


def long_conversation() -> list[dict[str, Any]]:
    return [QUESTION, ANSWER, {**QUESTION, "content": "More " * 50}, {**ANSWER, "content": "No."}]


@pytest.mark.parametrize(
    ("recipe", "texts"),
    [
        (Recipe(length=30), []),
        (Recipe(length=30, overlong="truncate"), ["Hello."]),
        (Recipe(length=60, overlong="split"), ["Hello.", "", "No."]),
        (Recipe(turns="each"), ["Hello.", "No."]),
        (Recipe(turns="last"), ["No."]),
        (Recipe(channels=("analysis",)), [""]),
    ],
)
def test_what_is_trained_on(recipe: Recipe, texts: list[str], tmp_path: Path) -> None:
    manifest = make_shards([write(tmp_path / "in.jsonl", long_conversation())], tmp_path / "out", recipe)
    trained = [
        ENCODING.decode([token for token, wanted in zip(row.ids, row.mask, strict=True) if wanted])
        for row in read_shards(tmp_path / "out")
    ]
    assert len(trained) == len(texts)
    for found, text in zip(trained, texts, strict=True):
        assert text in found
    assert manifest["counts"]["untrained"] == texts.count("")
    assert manifest["counts"]["cut"] == (recipe.overlong != "error")


def test_nothing_is_left_to_train_on(tmp_path: Path) -> None:
    source = write(tmp_path / "in.jsonl", long_conversation())
    make_shards([source], tmp_path / "out", Recipe(length=8, overlong="truncate"))
    (error,) = errors_of(tmp_path / "out")
    assert error["error"] == "conversation: nothing to train on in its first 5 tokens"


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"pack": True}, "recipe, pack: rows that are filled up need a length"),
        ({"channels": "final"}, "recipe, channels: expected a tuple of names; got 'final'"),
        ({"length": 0}, "recipe, length: expected a number of tokens; got 0"),
        ({"shard_bytes": 0}, "recipe, shard_bytes: expected 1 to 1073741824; got 0"),
        ({"overlong": "cut"}, "recipe, overlong: expected one of error, truncate, split; got 'cut'"),
    ],
)
def test_a_recipe_that_makes_no_sense(options: dict[str, Any], reason: str) -> None:
    with pytest.raises(ShardError) as caught:
        Recipe(**options)
    assert str(caught.value) == reason


# -- runs --------------------------------------------------------------------------------------------------


def many(path: Path) -> Path:
    return write(path, *([{**QUESTION, "content": f"Is {n} even?"}, ANSWER] for n in range(60)), "bad")


@pytest.mark.parametrize("jobs", [1, 2, 3])
def test_the_bytes_do_not_depend_on_the_jobs(tmp_path: Path, jobs: int) -> None:
    sources = [many(tmp_path / "a.jsonl"), write(tmp_path / "empty.jsonl"), many(tmp_path / "b.jsonl")]
    recipe = Recipe(length=100, pack=True, shard_bytes=2000)
    told: list[tuple[int, int]] = []
    manifest = make_shards(
        sources, tmp_path / "out", recipe, jobs=jobs, progress=lambda *done: told.append(done)
    )
    total = len(manifest["shards"])
    assert told == [(done, total) for done in range(total + 1)]
    make_shards(sources, tmp_path / "again", recipe, workers=backwards)
    assert contents(tmp_path / "out") == contents(tmp_path / "again")
    assert {sample.file for row in read_shards(tmp_path / "out") for sample in row.samples} == {0, 2}
    places = [(error["file"], error["line"]) for error in errors_of(tmp_path / "out")]
    assert places == [(str(sources[0]), 61), (str(sources[2]), 61)]
    verify(tmp_path / "out")


def backwards(tasks: Sequence[Task]) -> Iterator[None]:
    """Makes every shard twice, the last one first."""
    for task in reversed(tasks):
        build(task)
        yield build(task)


def test_nothing_to_read_makes_no_shards(tmp_path: Path) -> None:
    manifest = make_shards([write(tmp_path / "in.jsonl")], tmp_path / "out")
    assert (manifest["shards"], manifest["counts"]["records"]) == ([], 0)
    assert list(read_shards(tmp_path / "out")) == []
    assert verify(tmp_path / "out") == manifest


def interrupted(tasks: Sequence[Task]) -> Iterator[None]:
    yield build(tasks[0])
    raise KeyboardInterrupt


@pytest.mark.parametrize("begun", [False, True])
def test_another_run_in_the_same_folder_is_refused(tmp_path: Path, begun: bool) -> None:
    source, recipe = many(tmp_path / "in.jsonl"), Recipe(length=100, shard_bytes=2000)
    if begun:
        with pytest.raises(KeyboardInterrupt):
            make_shards([source], tmp_path / "out", recipe, workers=interrupted)
    else:
        make_shards([source], tmp_path / "out", recipe)
    before = contents(tmp_path / "out")
    other = Recipe(length=200, shard_bytes=2000)
    with pytest.raises(ShardError, match="another run: length is 100 there, 200 here"):
        make_shards([source], tmp_path / "out", other)
    write(tmp_path / "more.jsonl", [QUESTION])
    with pytest.raises(ShardError, match=r"another run: the input '.*more.jsonl' is not what it was"):
        make_shards([source, tmp_path / "more.jsonl"], tmp_path / "out", recipe)
    assert contents(tmp_path / "out") == before
    make_shards([source], tmp_path / "out", recipe)
    verify(tmp_path / "out")
    write(source, [QUESTION])
    with pytest.raises(ShardError, match=r"another run: the input '.*in.jsonl' is not what it was"):
        make_shards([source], tmp_path / "out", recipe)


def test_a_folder_with_other_things_is_refused(tmp_path: Path) -> None:
    source = many(tmp_path / "in.jsonl")
    with pytest.raises(ShardError, match=r"expected an empty folder; it holds 'in.jsonl'"):
        make_shards([source], tmp_path)
    assert make_shards([source], tmp_path / "out")["counts"]["records"] == 61
    (tmp_path / "out" / "shard-00000.ids.npy").unlink()
    with pytest.raises(ShardError, match="shard-00000 is not whole"):
        make_shards([source], tmp_path / "out")


def test_input_that_changes_on_the_way_is_noticed(tmp_path: Path) -> None:
    source = many(tmp_path / "in.jsonl")

    def shortening(tasks: Sequence[Task]) -> Iterator[None]:
        os.truncate(source, 100)
        yield from map(build, tasks)

    with pytest.raises(ShardError, match=r"in\.jsonl: expected \d+ bytes, but it ends at byte 100"):
        make_shards([source], tmp_path / "out", workers=shortening)


def test_workers_that_write_elsewhere_are_noticed(tmp_path: Path) -> None:
    with pytest.raises(ShardError, match="shard-00000 was made, but is not there: do all workers see"):
        make_shards([many(tmp_path / "in.jsonl")], tmp_path / "out", workers=lambda tasks: iter(tasks))


def test_a_worker_that_dies_is_told_of(tmp_path: Path) -> None:
    source, recipe = many(tmp_path / "in.jsonl"), Recipe(shard_bytes=200)

    def kill(done: int, total: int) -> None:
        for process in multiprocessing.active_children():
            process.kill()

    with pytest.raises(ShardError, match="jobs: a process was killed"):
        make_shards([source], tmp_path / "out", recipe, jobs=2, progress=kill)
    make_shards([source], tmp_path / "out", recipe)
    verify(tmp_path / "out")


@pytest.mark.parametrize(
    ("name", "reason"),
    [("none.jsonl", "No such file"), ("in.txt", "expected a file whose name ends in one of")],
)
def test_files_that_cannot_be_read(tmp_path: Path, name: str, reason: str) -> None:
    (tmp_path / "in.txt").touch()
    with pytest.raises(ShardError, match=f"{name}: {reason}"):
        make_shards([tmp_path / name], tmp_path / "out")
    assert not (tmp_path / "out").exists()


# -- the command -------------------------------------------------------------------------------------------


def test_the_command_makes_shards_and_looks_them_over(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source, folder = str(many(tmp_path / "in.jsonl")), str(tmp_path / "out")
    options = ["--length", "100", "--pack", "--shard-mib", "0.002", "--channel", "final"]
    assert main(["shards", *options, source, folder]) == FAILED
    shown = capsys.readouterr()
    assert "60 conversations of 61 records, 1 errors, 0 cut" in shown.out
    assert "up to        32 tokens         60  ##############################" in shown.out
    assert "records/s" in shown.out
    assert shown.err == f"what could not be read: {folder}/errors.jsonl\n"
    recipe = Recipe(length=100, pack=True, shard_bytes=2097, channels=("final",))
    make_shards([source], tmp_path / "again", recipe)
    assert contents(tmp_path / "out") == contents(tmp_path / "again")
    assert main(["shards", "--check", "--json", folder]) == 0
    assert json.loads(capsys.readouterr().out) == verify(folder)
    (tmp_path / "out" / "shard-00000.ids.npy").write_bytes(b"")
    assert main(["shards", "--check", folder]) == FAILED
    assert "shard-00000.ids.npy: expected sha256" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["out"], "FILE: expected files to read, and the folder to write behind them"),
        (["--check", "a", "b"], "--check: expected one folder and no files"),
        (["--check", "none"], "none: no manifest.json: no shards were made here, or not all of them yet"),
        (["--pack", "a.jsonl", "out"], "recipe, pack: rows that are filled up need a length"),
        (["--jobs", "0", "a.jsonl", "out"], "a.jsonl: No such file"),
    ],
)
def test_the_command_says_what_is_wrong(
    arguments: list[str], reason: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["shards", *arguments]) == MISUSED
    assert reason in capsys.readouterr().err


def test_what_is_not_installed_is_told_with_how_to_get_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    source, folder = str(many(tmp_path / "in.jsonl")), str(tmp_path / "out")
    for name in ("ray", "pyarrow"):
        monkeypatch.setitem(sys.modules, name, None)
    assert main(["shards", "--ray", source, folder]) == MISUSED
    assert capsys.readouterr().err == "harmony-py shards: this needs Ray: pip install 'harmony-py[ray]'\n"
    assert main(["shards", "--format", "parquet", source, folder]) == MISUSED
    assert "Parquet needs pyarrow: pip install 'harmony-py[parquet]'" in capsys.readouterr().err
    assert main(["shards", str(tmp_path / "in.parquet"), folder]) == MISUSED
    assert not (tmp_path / "out").exists()
    assert main(["shards", source, folder]) == FAILED
