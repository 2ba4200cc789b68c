"""The command: `python -m benchmarks NAME [options]`."""

from __future__ import annotations

import importlib
import sys

COMMANDS = {
    "tokenizer": "text to ids beside tiktoken, tokenizers, fastokens, gigatoken and quicktok",
    "render": "conversations to tokens beside openai-harmony",
    "shards": "conversations to training shards beside openai-harmony and tokenizers",
    "parse": "tokens to messages beside openai-harmony",
    "decode": "tokens of the model, one by one, beside transformers",
    "gpu": "the model on a GPU: whether its kernels are right there, then how fast they are",
    "serve": "OpenAI's API over HTTP, the toy behind it, beside the server of transformers",
    "kernels": "the model's multiplications on the processor beside torch and the memory",
    "constrain": "masks: what the vocabulary, a specification and each token cost",
    "vllm_parser": "vLLM's parser and renderer beside ours, in an unpacked vLLM",
    "sglang_parser": "SGLang's text parser beside ours, in an unpacked SGLang",
    "corpora": "write the texts that are measured on as plain files, with their hashes",
}

EXAMPLES = """\
examples:
  python -m benchmarks tokenizer --quick
  python -m benchmarks tokenizer --only english,code --libraries ours,tiktoken,gigatoken --repeats 7
  python -m benchmarks tokenizer --corpus mine=notes.txt --only mine
  python -m benchmarks tokenizer --json result.json --plot docs/benchmarks.svg
  python -m benchmarks corpora a-folder

Each has its own --help. They need the packages of the group `bench`: pip install --group bench"""


def usage() -> str:
    width = max(map(len, COMMANDS))
    commands = "\n".join(f"  {name:<{width}}  {what}" for name, what in COMMANDS.items())
    return f"usage: python -m benchmarks NAME [options]\n\n{__doc__}\n\ncommands:\n{commands}\n\n{EXAMPLES}"


def main(arguments: list[str]) -> int:
    if not arguments or arguments[0] in {"-h", "--help"}:
        print(usage())
        return 0 if arguments else 2
    name, *rest = arguments
    if name not in COMMANDS:
        print(f"no benchmark is called {name!r}; there are: {', '.join(COMMANDS)}", file=sys.stderr)
        return 2
    return int(importlib.import_module(f"benchmarks.{name}").main(rest))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
