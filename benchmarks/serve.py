"""Ours beside transformers' own server: the toy, streamed to 1, 8 and 64 clients at once."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from benchmarks.harness import rounds
from benchmarks.report import distinct, environment, number, table, write_json
from harmony_py import DeveloperContent, Message, Role, SystemContent, ToolDescription, load_harmony_encoding
from harmony_py.tokenizer import vocab
from harmony_py.tokenizer.special import ASSISTANT_ACTION_STOP_TOKENS, END_OF_TEXT

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

OURS: Final = "ours"
THEIRS: Final = "transformers"
BATCHED: Final = "transformers, continuous batching"

EFFORT: Final = "high"
WEATHER: Final = {
    "name": "get_weather",
    "description": "Tells the weather in a city.",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
}
MOST_TOKENS: Final = 120
"""Of an answer, which is some seventy tokens long."""

PLACE: Final = "PLACE"

NOTES: Final = """\
Servers and clients on one machine, everything through HTTP. Each client asks for the weather in a place of
its own, a word drawn from the vocabulary, and reads the thoughts and the call that name it. The prompts'
tokens are the same for all, decoding is greedy, an answer some {tokens} tokens long. Rounds are interleaved,
one server working at a time; medians of {repeats}. A text is right if it is what the same server answered to
that question alone, and names the place. Ours runs the checkpoint as it lies, in MXFP4; transformers gets the
same weights unpacked to bfloat16."""


# -- what is asked -----------------------------------------------------------------------------------------


def places(count: int) -> list[str]:
    """Words that are one token behind a space, no two alike, and the same ones every time."""
    words = [token.decode("ascii", "replace") for token in vocab.tokens()]
    fitting = [word[1:] for word in words if re.fullmatch(" [A-Z][a-z]{3,7}", word)]
    return fitting[:: len(fitting) // count][:count]


def question(place: str) -> str:
    return f"What is the weather in {place}?"


def body_for_ours(place: str) -> dict[str, Any]:
    return {
        "model": "toy",
        "messages": [{"role": "user", "content": question(place)}],
        "tools": [{"type": "function", "function": WEATHER}],
        "reasoning_effort": EFFORT,
        "temperature": 0,
        "max_completion_tokens": MOST_TOKENS,
        "stream": True,
    }


def body_for_theirs(model: str, place: str) -> dict[str, Any]:
    """Without the tool and the effort: they are in the template."""
    messages = [{"role": "user", "content": question(place)}]
    settings = {"temperature": 0, "max_completion_tokens": MOST_TOKENS, "stream": True}
    return {"model": model, "messages": messages, **settings}


def chat_template() -> str:
    """A template that gives the prompt that we render, whatever place is asked for."""
    encoding = load_harmony_encoding()
    system = SystemContent(conversation_start_date=time.strftime("%Y-%m-%d")).with_reasoning_effort(EFFORT)
    developer = DeveloperContent().with_function_tools([ToolDescription.model_validate(WEATHER)])
    messages = [
        Message.from_role_and_content(Role.SYSTEM, system),
        Message.from_role_and_content(Role.DEVELOPER, developer),
        Message.from_role_and_content(Role.USER, PLACE),
    ]
    prompt = encoding.decode(encoding.render_conversation_for_completion(messages))
    before, after = prompt.split(PLACE)
    raw = "{{% raw %}}{}{{% endraw %}}".format
    return raw(before) + "{{ messages[0]['content'] }}" + raw(after)


def write_for_transformers(path: Path) -> None:
    """The toy as transformers reads it: unpacked, with a tokenizer and a template."""
    from harmony_py.engines.transformers import tokenizer
    from harmony_py.model import Checkpoint, save, toy

    opened = Checkpoint(toy())
    save(path, opened.config, opened.weights(), layout="dense")
    stops = sorted({*ASSISTANT_ACTION_STOP_TOKENS, END_OF_TEXT})
    generation = {"eos_token_id": stops, "pad_token_id": END_OF_TEXT, "do_sample": False}
    (path / "generation_config.json").write_text(json.dumps(generation))
    made = tokenizer()
    made.chat_template = chat_template()
    made.save_pretrained(path)


# -- servers -----------------------------------------------------------------------------------------------


class Server(NamedTuple):
    name: str
    port: int
    process: subprocess.Popen[bytes]
    model: str

    def body(self, place: str) -> bytes:
        found = body_for_ours(place) if self.name == OURS else body_for_theirs(self.model, place)
        return json.dumps(found).encode()

    def peak_megabytes(self) -> float:
        """The most memory that its process has had."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        found = re.search(r"VmHWM:\s+(\d+) kB", status)
        return int(found[1]) / 1024 if found else float("nan")


@contextmanager
def running(name: str, model: Path, slots: int, log: Path) -> Iterator[Server]:
    """A server in a process of its own, ready to answer."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    if name == OURS:
        command = [sys.executable, "-m", "harmony_py", "serve", "--port", str(port), "--slots", str(slots)]
    else:
        start = "from transformers.cli.transformers import main; main()"
        command = [sys.executable, "-c", start, "serve", str(model), "--port", str(port), "--device", "cpu"]
        command += ["--continuous-batching"] if name == BATCHED else []
    environment_ = {**os.environ, "OMP_WAIT_POLICY": "passive", "HF_HUB_OFFLINE": "1"}
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output, env=environment_)
    try:
        _wait(port, process, log)
        yield Server(name, port, process, str(model))
    finally:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + 180
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=1):
                return
        except OSError:
            time.sleep(0.1)
    raise SystemExit(f"a server did not start:\n{log.read_text()[-3000:]}")


# -- clients -----------------------------------------------------------------------------------------------


class Heard(NamedTuple):
    """What one client got, and when."""

    text: str
    asked: float
    times: list[float]
    """When each piece of text came."""
    gaps: list[float]
    """Between pieces of the same thought or call: between these are tokens that no client sees."""
    is_whole: bool
    """The stream ended as it should."""

    @property
    def first(self) -> float:
        return self.times[0] - self.asked if self.times else float("nan")


async def ask(server: Server, place: str) -> Heard:
    """One request, read as it comes. No library: it should cost next to nothing."""
    body = server.body(place)
    asked = time.monotonic()
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port, limit=1 << 20)
    head = "POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    writer.write(f"{head}Connection: close\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)
    pieces: list[str] = []
    times: list[float] = []
    gaps: list[float] = []
    kind, is_whole = "", False
    async for line in reader:
        if not line.startswith(b"data: "):
            continue
        if line.startswith(b"data: [DONE]"):
            break
        chunk = json.loads(line[6:])
        if "error" in chunk:
            break
        for choice in chunk["choices"]:
            for kind_, piece in _pieces(choice["delta"]):
                times.append(time.monotonic())
                gaps += [times[-1] - times[-2]] if kind_ == kind else []
                pieces.append(piece)
                kind = kind_
            is_whole |= choice.get("finish_reason") is not None
    writer.close()
    return Heard("".join(pieces), asked, times, gaps, is_whole)


def _pieces(delta: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """The text in a delta, with what it is part of."""
    calls = [call["function"] for call in delta.get("tool_calls") or ()]
    told = {name: delta.get(name) or "" for name in ("reasoning_content", "content")}
    told["call"] = "".join(call.get("arguments") or "" for call in calls)
    yield from ((kind, text) for kind, text in told.items() if text)


class Round(NamedTuple):
    """So many clients at once."""

    seconds: float
    heard: list[Heard]
    places: list[str]


def round_of(server: Server, streams: int, asked: Sequence[str]) -> Round:
    """Every place is asked for once, by `streams` clients side by side."""

    async def everybody() -> list[Heard]:
        left = list(reversed(asked))
        heard: dict[str, Heard] = {}

        async def client() -> None:
            while left:
                place = left.pop()
                heard[place] = await ask(server, place)

        await asyncio.gather(*(client() for _ in range(streams)))
        return [heard[place] for place in asked]

    began = time.monotonic()
    heard = asyncio.run(everybody())
    return Round(time.monotonic() - began, heard, list(asked))


# -- the report --------------------------------------------------------------------------------------------


def quantile(values: Sequence[float], share: float) -> float:
    """The value below which this share of all lies, one of them."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else float("nan")


def figures(found: Sequence[Round], alone: dict[str, str]) -> dict[str, float]:
    """What is quoted of a server's rounds with so many clients."""
    heard = [each for one in found for each in one.heard]
    gaps = [gap for each in heard for gap in each.gaps]
    right = [
        each.is_whole and each.text == alone[place] and place in each.text
        for one in found
        for place, each in zip(one.places, one.heard, strict=True)
    ]
    rates = [len(one.heard) / one.seconds for one in found]
    return {
        "requests/s": quantile(rates, 0.5),
        "first, median, ms": 1e3 * quantile([each.first for each in heard], 0.5),
        "first, p99, ms": 1e3 * quantile([each.first for each in heard], 0.99),
        "between, median, ms": 1e3 * quantile(gaps, 0.5),
        "between, p99, ms": 1e3 * quantile(gaps, 0.99),
        "right texts": sum(right),
        "texts": len(right),
    }


def report(results: dict[tuple[str, int], dict[str, float]], memory: dict[str, float]) -> str:
    names = distinct(name for name, _ in results)
    columns = [key for key in next(iter(results.values())) if key not in ("right texts", "texts")]
    rows = []
    for streams in sorted({streams for _, streams in results}):
        for name in names:
            found = results.get((name, streams))
            if found is not None:
                right = f"{found['right texts']:.0f} of {found['texts']:.0f}"
                rows.append([f"{streams}, {name}", *(number(found[column]) for column in columns), right])
    peaks = table(["peak memory", "MB"], [[name, number(megabytes)] for name, megabytes in memory.items()])
    return f"{table(['clients at once', *columns, 'right'], rows)}\n\n{peaks}"


def main(arguments: Sequence[str]) -> int:
    options = _options(arguments)
    counts = {streams: max(8, min(64, 2 * streams)) for streams in options.streams}
    asked = places(max(counts.values()))
    results: dict[tuple[str, int], dict[str, float]] = {}
    with tempfile.TemporaryDirectory(prefix="harmony-py-bench-") as folder, ExitStack() as stack:
        model = Path(folder) / "toy"
        write_for_transformers(model)
        servers = {
            name: stack.enter_context(running(name, model, max(options.streams), Path(folder) / f"{i}.log"))
            for i, name in enumerate(options.servers)
        }
        alone: dict[str, dict[str, str]] = {}
        for name, server in servers.items():
            one = round_of(server, 1, asked)
            alone[name] = {place: heard.text for place, heard in zip(asked, one.heard, strict=True)}
        tokens = len(load_harmony_encoding().encode(next(iter(alone.values()))[asked[0]]))
        print(f"{environment(['harmony-py', 'torch', 'transformers', 'uvicorn'])}\n")
        print(NOTES.format(tokens=tokens, repeats=options.repeats), flush=True)
        for streams in options.streams:
            found: dict[str, list[Round]] = {name: [] for name in servers}
            for name in rounds(list(servers), options.repeats):
                found[name].append(round_of(servers[name], streams, asked[: counts[streams]]))
            for name, some in found.items():
                results[name, streams] = figures(some, alone[name])
        memory = {name: server.peak_megabytes() for name, server in servers.items()}
    print(f"\n{report(results, memory)}")
    if options.json:
        told = [{"server": name, "streams": streams, **each} for (name, streams), each in results.items()]
        write_json(options.json, {"results": told, "memory": memory})
    return 0


def _options(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks serve", description=__doc__)
    parser.add_argument("--streams", type=_numbers, default=[1, 8, 64], metavar="N,N", help="clients at once")
    parser.add_argument("--servers", type=lambda text: text.split(";"), default=[OURS, THEIRS], help="a;b")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args(arguments)
    if unknown := [name for name in options.servers if name not in (OURS, THEIRS, BATCHED)]:
        parser.error(f"--servers: there are {OURS}; {THEIRS}; {BATCHED}; not {unknown[0]!r}")
    return options


def _numbers(text: str) -> list[int]:
    return [int(part) for part in text.split(",")]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
