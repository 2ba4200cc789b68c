"""Conversations to training shards: ours beside openai-harmony in a loop and the tokenizers library."""

from __future__ import annotations

import argparse
import importlib
import json
import os
import statistics
import sys
import tempfile
import time
from array import array
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks import corpora
from benchmarks.harness import in_process, rounds
from benchmarks.report import environment, number, table
from harmony_py.engines.shards import Recipe, make_shards
from harmony_py.errors import HarmonyError
from harmony_py.format.encoding import load_harmony_encoding
from harmony_py.tokenizer import vocab
from harmony_py.wire.chat_completions import read_request

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

MODULE = "benchmarks.shards"
RECIPE = Recipe(analysis="upstream", schema_style="upstream", length=65536, pack=True, shard_bytes=4 * 2**20)
"""As upstream renders, so that the tokens are the same."""

NOTES = """\
Each in a process of its own, repeats interleaved, medians; loading is not counted, writing is. The input is
the chat corpus as harmony conversations in JSON lines, some copies of it in a file each. `harmony_py`: ids,
mask and bounds, packed, hashed and synced to the disk, in one process or more, whose start is counted.
`openai-harmony`: `Conversation.from_json`, `render_conversation_for_training`, ids written; it has no mask.
`tokenizers`: text that was rendered before, to ids, written: neither conversations nor a mask, and what is
spelled like a control token becomes one. `CPU s` counts all processes: on a busy machine trust that."""


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks shards", description=__doc__)
    parser.add_argument("--copies", type=int, default=4, help="of the corpus, 5 MB each (default 4)")
    parser.add_argument("--megabytes", type=float, help="only so much of the corpus")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    options = parser.parse_args(arguments)
    contenders = {"harmony_py": "ours", f"harmony_py, {options.jobs} jobs": f"ours {options.jobs}"}
    contenders |= {"openai-harmony": "upstream", "tokenizers": "tokenizers"}
    print(f"{environment(['harmony-py', 'openai-harmony', 'tokenizers'])}\n\n{NOTES}\n")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        count, size = write_input(folder, options.copies, options.megabytes)
        answers: dict[str, list[dict[str, Any]]] = {each: [] for each in contenders}
        for each in rounds(list(contenders), options.repeats):
            job = {"contender": contenders[each], "folder": name, "out": f"{name}/out"}
            answers[each].append(in_process(MODULE, job, timeout=600))
    tokens = {each: {answer["tokens"] for answer in found} for each, found in answers.items()}
    if len(set.union(*tokens.values())) != 1:
        raise SystemExit(f"the tokens differ: {tokens}")
    print(f"{count:,} conversations, {size / 1e6:.1f} MB, {answers['harmony_py'][0]['tokens']:,} tokens\n")
    rows = []
    for each, found in answers.items():
        seconds = statistics.median(answer["seconds"] for answer in found)
        cpu = statistics.median(answer["cpu"] for answer in found)
        paces = [number(count / seconds), number(size / 1e6 / seconds), number(count / cpu)]
        rows.append([each, *paces, f"{seconds:.2f}", f"{cpu:.2f}"])
    header = ["", "conversations/s", "MB/s", "conversations/CPU s", "seconds", "CPU s"]
    print(table(header, rows))
    return 0


def write_input(folder: Path, copies: int, megabytes: float | None) -> tuple[int, int]:
    """The corpus as conversations, and rendered; how many, and how many bytes of JSON."""
    encoding, lines, texts = load_harmony_encoding(), [], []
    for line in corpora.load("chat", megabytes).text.splitlines():
        try:
            conversation = read_request(json.loads(line)).conversation
        except HarmonyError:  # a few declare a function twice
            continue
        lines.append(conversation.to_json() + "\n")
        ids = encoding.render_conversation_for_training(conversation, RECIPE.rendering)
        texts.append(encoding.decode(ids))
    for copy in range(copies):
        (folder / f"{copy}.jsonl").write_text("".join(lines), "utf-8")
        (folder / f"{copy}.json").write_text(json.dumps(texts), "utf-8")
    vocab.export(folder)
    return copies * len(lines), copies * sum(map(len, lines))


# -- in a process of its own -------------------------------------------------------------------------------


def measured(contender: str, folder: Path, out: Path) -> dict[str, Any]:
    name, _, jobs = contender.partition(" ")
    run = {"ours": ours, "upstream": upstream, "tokenizers": tokenizers}[name](folder, out, int(jobs or 1))
    before, start = sum(os.times()[:4]), time.perf_counter()
    tokens = run()
    return {
        "seconds": time.perf_counter() - start,
        "cpu": sum(os.times()[:4]) - before,
        "tokens": tokens,
    }


def ours(folder: Path, out: Path, jobs: int) -> Callable[[], int]:
    load_harmony_encoding()
    fresh = out / str(time.time_ns())

    def run() -> int:
        manifest = make_shards(sorted(folder.glob("*.jsonl")), fresh, RECIPE, jobs=jobs)
        return int(manifest["counts"]["tokens"])

    return run


def upstream(folder: Path, out: Path, jobs: int) -> Callable[[], int]:
    os.environ["TIKTOKEN_ENCODINGS_BASE"] = str(folder)
    openai_harmony: Any = importlib.import_module("openai_harmony")
    encoding = openai_harmony.load_harmony_encoding("HarmonyGptOss")

    def rendered(path: Path) -> Iterator[list[int]]:
        with path.open("rb") as file:
            for line in file:
                conversation = openai_harmony.Conversation.from_json(line.decode())
                yield encoding.render_conversation_for_training(conversation)

    return lambda: written(rendered, sorted(folder.glob("*.jsonl")), out)


def tokenizers(folder: Path, out: Path, jobs: int) -> Callable[[], int]:
    from harmony_py.engines.transformers.tokenizer import tokenizer

    encoder: Any = tokenizer()._tokenizer

    def encoded(path: Path) -> Iterator[list[int]]:
        for text in json.loads(path.read_bytes()):
            yield encoder.encode(text, add_special_tokens=False).ids

    return lambda: written(encoded, [folder / f"{path.stem}.json" for path in folder.glob("*.jsonl")], out)


def written(read: Callable[[Path], Iterator[list[int]]], paths: Sequence[Path], out: Path) -> int:
    """Write all ids, and count them."""
    out.mkdir(exist_ok=True)
    count = 0
    for path in paths:
        with (out / f"{path.stem}.bin").open("wb") as file:
            for ids in read(path):
                count += len(ids)
                array("i", ids).tofile(file)
    return count


if __name__ == "__main__":
    asked = json.loads(sys.argv[1])
    print(json.dumps(measured(asked["contender"], Path(asked["folder"]), Path(asked["out"]))))
