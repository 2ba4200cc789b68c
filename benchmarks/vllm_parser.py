"""vLLM's own parser and renderer beside ours, in vLLM itself: `python -m benchmarks.vllm_parser FOLDER...`

The folders are put before everything else on the path: that of an unpacked vLLM wheel, of which only the
Python files are needed, and one with what it imports. `docs/hosts.md` says how to make them. No GPU, no
weights: this is the layer between sampled tokens and OpenAI's JSON.
"""

from __future__ import annotations

import argparse
import functools
import gc
import importlib
import json
import logging
import random
import re
import statistics
import sys
import time
from typing import TYPE_CHECKING, Any

from harmony_py.engines import vllm as ours
from harmony_py.format.encoding import load_harmony_encoding

if TYPE_CHECKING:
    from collections.abc import Callable

PROBES = {
    "an answer whose header says json": '<|channel|>final json<|message|>{"a": 1}<|return|>',
    "an answer without a header": "I can't help with that.<|end|>",
    "a header without its message marker": "<|channel|>final The answer\nis 4.<|return|>",
    "a call without the beginning of its header": (
        "<|channel|>analysis<|message|>Hm.<|end|>"
        "<|channel|>commentary to=functions.f json<|message|>{}<|call|>"
    ),
}
FINISHED = (1, 10, 40)
WORDS = ["the", "last", "train", "for", "Łódź", "at", "21:55", "—", "漢字", "😀", "{}", "\n\n", "`code`"]
RESULT = re.compile(r"<\|start\|>(functions\.\w+)(<\|channel\|>\w+) to=assistant<\|message\|>")
"""The header of a tool's result as vLLM writes it."""


def main(arguments: list[str]) -> int:
    reader = argparse.ArgumentParser(prog="python -m benchmarks.vllm_parser", description=__doc__)
    reader.add_argument("folders", nargs="+", metavar="FOLDER")
    reader.add_argument("--turns", type=int, default=300, help="random turns and conversations to compare on")
    options = reader.parse_args(arguments)
    sys.path[:0] = options.folders
    logging.disable(logging.WARNING)
    host = Host()
    print(f"vLLM {host.version}, with {host.harmony}\n")
    show_probes(host)
    agree = compare_turns(host, options.turns)
    agree &= compare_prompts(host, options.turns)
    agree &= compare_ids(options.turns)
    measure(host)
    return 0 if agree else 1


class Host:
    """vLLM's parser as its server makes it."""

    def __init__(self) -> None:
        self.version = importlib.import_module("vllm").__version__
        self.harmony = self._which_harmony()
        self.utilities = importlib.import_module("vllm.entrypoints.openai.parser.harmony_utils")
        self.encoding = self.utilities.get_encoding()
        manager = importlib.import_module("vllm.parser.parser_manager").ParserManager
        protocol = importlib.import_module("vllm.entrypoints.openai.chat_completion.protocol")
        self._parser = manager.get_parser(
            tool_parser_name="openai",
            reasoning_parser_name="openai_gptoss",
            enable_auto_tools=True,
            is_harmony=True,
        )
        self._request = protocol.ChatCompletionRequest(model="m", messages=[{"role": "user", "content": "x"}])

    @staticmethod
    def _which_harmony() -> str:
        from importlib.metadata import packages_distributions, version

        names = sorted(set(packages_distributions().get("openai_harmony", ["openai_harmony"])))
        return ", ".join(f"{name} {version(name)}" for name in names)

    def parser(self) -> Any:
        return self._parser(self)

    def get_vocab(self) -> dict[str, int]:
        """This object is the tokenizer too, as far as the parser needs one."""
        return {}

    def decode(self, ids: list[int]) -> str:
        return str(self.encoding.decode(ids))

    def whole(self, ids: list[int]) -> dict[str, Any]:
        """Reasoning, content and calls of a turn, and its tokens of thought."""
        parser = self.parser()
        reasoning, content, calls = parser.parse("", self._request, model_output_token_ids=ids)
        return {
            "reasoning": reasoning or "",
            "content": content or "",
            "calls": [(call.name, call.arguments) for call in calls or []],
            "thought": parser.count_reasoning_tokens(ids),
        }

    def streamed(self, ids: list[int]) -> dict[str, Any]:
        """The same from a stream, a token at a time."""
        parser = self.parser()
        texts = {"reasoning": "", "content": ""}
        calls: list[list[str]] = []
        for at, token in enumerate(ids, 1):
            delta = parser.parse_delta("", [token], self._request, finished=at == len(ids))
            for name in texts if delta is not None else ():
                texts[name] += getattr(delta, name) or ""
            for call in delta.tool_calls or [] if delta is not None else []:
                if call.function.name:
                    calls.append([call.function.name, ""])
                calls[-1][1] += call.function.arguments or ""
        return {**texts, "calls": calls, "thought": parser.count_reasoning_tokens(ids)}

    def stream(self, behind: list[int], ids: list[int]) -> float:
        """Seconds a token for `ids` behind what has been parsed before."""
        parser = self.parser()
        parser.process_chunk(behind)
        gc.collect()
        begin = time.thread_time()
        for token in ids:
            parser.parse_delta("", [token], self._request, finished=False)
        return (time.thread_time() - begin) / len(ids)


def with_ours(call: Callable[[], Any]) -> Any:
    ours.patch()
    try:
        return call()
    finally:
        ours.unpatch()


def show_probes(host: Host) -> None:
    for name, text in PROBES.items():
        ids = load_harmony_encoding().encode(text, allowed_special="all")
        print(f"{name}: {text!r}")
        for whose, run in (("vLLM's", lambda call: call()), ("ours", with_ours)):
            for how, call in (("whole", host.whole), ("stream", host.streamed)):
                print(f"  {whose:7}{how:7}{run(functools.partial(call, ids))}")
    print()


# -- the same where nothing is wrong -------------------------------------------------------------------------


def random_turn(draw: random.Random) -> list[int]:
    """A turn as models write it: thoughts, a preamble, a call or an answer."""
    parts = [f"<|channel|>analysis<|message|>{text(draw)}<|end|>" for _ in range(draw.randint(0, 2))]
    if draw.random() < 0.3:
        parts.append(f"<|channel|>commentary<|message|>{text(draw)}<|end|>")
    if draw.random() < 0.5:
        arguments = json.dumps({"city": text(draw)}, ensure_ascii=False)
        header = draw.choice(["<|channel|>commentary to=functions.f", " to=functions.f<|channel|>commentary"])
        parts.append(f"{header} <|constrain|>json<|message|>{arguments}<|call|>")
    else:
        parts.append(f"<|channel|>final<|message|>{text(draw)}<|return|>")
    return load_harmony_encoding().encode("<|start|>assistant".join(parts), allowed_special="all")


def text(draw: random.Random) -> str:
    return " ".join(draw.choices(WORDS, k=draw.randint(1, 30)))


def compare_turns(host: Host, count: int) -> bool:
    draw = random.Random(1)
    different = 0
    for _ in range(count):
        ids = random_turn(draw)
        for call in (host.whole, host.streamed):
            different += call(ids) != with_ours(functools.partial(call, ids))
    print(f"well-formed turns, whole and streamed: {count}, {different} of them different")
    return different == 0


def compare_prompts(host: Host, count: int) -> bool:
    """Whether prompts are the same once the headers of tools' results are, and what they cost."""
    draw = random.Random(2)
    renderers = {"vLLM's": host.utilities.render_for_completion, "ours": ours.render_for_completion}
    spent = dict.fromkeys(renderers, 0.0)
    different = 0
    for _ in range(count):
        messages = [*preamble(host, draw), *history(host, draw)]
        prompts = []
        for whose, render in renderers.items():
            begin = time.thread_time()
            prompts.append(host.decode(render(messages)))
            spent[whose] += time.thread_time() - begin
        different += RESULT.sub(r"<|start|>\1 to=assistant\2<|message|>", prompts[0]) != prompts[1]
    costs = ", ".join(f"{whose} {seconds / count * 1e6:,.0f} us" for whose, seconds in spent.items())
    print(f"prompts: {count}, {different} of them different but for headers of tools' results")
    print(f"a prompt takes {costs}\n")
    return different == 0


def compare_ids(count: int) -> bool:
    """Whether vLLM's registry makes a tokenizer of our mode, with all that vLLM asks of one, and its ids."""
    draw = random.Random(3)
    expected = importlib.import_module("vllm.tokenizers.protocol").TokenizerLike
    registry = importlib.import_module("vllm.tokenizers.registry").TokenizerRegistry
    made = with_ours(lambda: registry.load_tokenizer(ours.MODE, "gpt-oss", truncation_side="left"))
    lacking = [name for name in vars(expected) if not name.startswith("_") and not hasattr(made, name)]
    different = 0
    for _ in range(count):
        ids = random_turn(draw)
        written = load_harmony_encoding().decode(ids)
        different += made.encode(written, add_special_tokens=False) != ids or made.decode(ids) != written
    print(f"texts through --tokenizer-mode {ours.MODE}: {count}, {different} of them different")
    print(f"of what vLLM asks of a tokenizer it lacks: {', '.join(lacking) or 'nothing'}\n")
    return not different and not lacking


def preamble(host: Host, draw: random.Random) -> list[Any]:
    tool = {"name": "f", "description": text(draw), "parameters": {"type": "object", "properties": {}}}
    types = importlib.import_module("vllm.entrypoints.openai.chat_completion.protocol")
    tools = [types.ChatCompletionToolsParam(type="function", function=tool)] if draw.random() < 0.7 else None
    found = host.utilities.build_harmony_preamble(
        instructions=text(draw), tools=tools, reasoning_effort="low", with_custom_tools=bool(tools)
    )
    return list(found)


def history(host: Host, draw: random.Random) -> list[Any]:
    """Some turns as a client of the chat API sends them."""
    chat: list[dict[str, Any]] = []
    for turn in range(draw.randint(1, 6)):
        chat.append({"role": "user", "content": text(draw)})
        if draw.random() < 0.5:
            call = {"id": f"c{turn}", "function": {"name": "f", "arguments": json.dumps({"a": text(draw)})}}
            chat.append({"role": "assistant", "reasoning": text(draw), "tool_calls": [call]})
            chat.append({"role": "tool", "tool_call_id": f"c{turn}", "content": text(draw)})
        chat.append({"role": "assistant", "reasoning": text(draw), "content": text(draw)})
    if draw.random() < 0.7:
        chat.append({"role": "user", "content": text(draw)})
    return list(host.utilities.parse_chat_inputs_to_harmony_messages(chat))


# -- what it costs -------------------------------------------------------------------------------------------


def measure(host: Host) -> None:
    draw = random.Random(3)
    encode = load_harmony_encoding().encode
    thought = encode(
        f"<|channel|>analysis<|message|>{text(draw)}<|end|><|start|>assistant", allowed_special="all"
    )
    answer = encode(f"<|channel|>final<|message|>{text(draw) * 8}", allowed_special="all")
    print(f"a token of an answer of {len(answer)}, through parse_delta; median of 7, in us of the processor")
    for finished in FINISHED:
        times: dict[str, list[float]] = {"vLLM's": [], "ours": []}
        for _ in range(7):
            times["vLLM's"].append(host.stream(thought * finished, answer))
            times["ours"].append(with_ours(functools.partial(host.stream, thought * finished, answer)))
        theirs, mine = (statistics.median(found) * 1e6 for found in times.values())
        print(
            f"  behind {finished:2} messages: vLLM's {theirs:7.2f}   ours {mine:6.2f}   {theirs / mine:5.1f}x"
        )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
