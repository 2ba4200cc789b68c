"""SGLang's own text parser beside ours, in SGLang's detectors: `python -m benchmarks.sglang_parser FOLDER...`

The folders are put before everything else on the path: that of an unpacked SGLang wheel, of which only the
Python files are needed, and one with what it imports. `docs/hosts.md` says how to make them.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.metadata
import logging
import os
import sys
from typing import Any

from harmony_py.engines import sglang as ours

THOUGHT = "<|channel|>analysis<|message|>Is a < b?<|end|><|start|>assistant"
PROBES = {
    "an answer": THOUGHT + "<|channel|>final<|message|>Yes, a < b.<|return|>",
    "an answer whose header says json": "<|channel|>final json<|message|>{}<|return|>",
    "a call": THOUGHT + "<|channel|>commentary to=functions.f <|constrain|>json<|message|>{}<|call|>",
    "a call without a constrain marker": THOUGHT
    + "<|channel|>commentary to=functions.f json<|message|>{}<|call|>",
    "a call with the recipient first": THOUGHT
    + " to=functions.f<|channel|>commentary json<|message|>{}<|call|>",
    "an answer without a header": "I can't help with that.<|end|>",
    "a header without its message marker": "<|channel|>final The answer\nis 4.<|return|>",
}
SIZES = (1, 3, 1000)


def main(arguments: list[str]) -> int:
    reader = argparse.ArgumentParser(prog="python -m benchmarks.sglang_parser", description=__doc__)
    reader.add_argument("folders", nargs="+", metavar="FOLDER")
    sys.path[:0] = reader.parse_args(arguments).folders
    logging.disable(logging.WARNING)
    print(f"SGLang {importlib.metadata.version('sglang')}\n")
    host = Host()
    theirs = [host.answers(text) for text in PROBES.values()]
    # As SGLang itself does it, once and for the life of the process.
    os.environ[ours.VARIABLE] = "1"
    ours.plugin()
    importlib.import_module("sglang.srt.plugins.hook_registry").HookRegistry.apply_hooks()
    for (name, text), before in zip(PROBES.items(), theirs, strict=True):
        print(f"{name}: {text!r}")
        for whose, answers in (("SGLang's", before), ("ours", host.answers(text))):
            for answer in sorted({str(each) for each in answers.values()}):
                sizes = ", ".join(str(size) for size, each in answers.items() if str(each) == answer)
                print(f"  {whose:9} in pieces of {sizes:10} {answer}")
    return 0


class Host:
    """SGLang's two detectors, one behind the other, as its server has them."""

    def __init__(self) -> None:
        self._reasoning = importlib.import_module("sglang.srt.parser.reasoning_parser").GptOssDetector
        self._calls = importlib.import_module("sglang.srt.function_call.gpt_oss_detector").GptOssDetector
        types = importlib.import_module("sglang.srt.entrypoints.openai.protocol")
        self._tools = [types.Tool(type="function", function=types.Function(name="f", parameters={}))]

    def answers(self, text: str) -> dict[int, tuple[str, str, list[Any]]]:
        """Reasoning, content and calls, for pieces of several sizes."""
        return {size: self._answer(text, size) for size in SIZES}

    def _answer(self, text: str, size: int) -> tuple[str, str, list[Any]]:
        first, second = self._reasoning(), self._calls()
        reasoning = content = ""
        calls: list[Any] = []
        for at in range(0, len(text), size):
            found = first.parse_streaming_increment(text[at : at + size])
            reasoning += found.reasoning_text or ""
            if found.normal_text:
                rest = second.parse_streaming_increment(found.normal_text, self._tools)
                content += rest.normal_text or ""
                calls += [(call.name, call.parameters) for call in rest.calls]
        return reasoning, content, calls


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
