"""One request, answered: a chat completion request on standard input, chunks of a stream on the output.

    echo '{"model": "m", "messages": [{"role": "user", "content": "Hi."}]}' | python examples/serve_once.py

`sample` stands in for an engine. Any that takes ids and gives ids can take its place.
"""

from __future__ import annotations

import json
import sys
import time
from typing import TYPE_CHECKING

from harmony_py import SystemContent, load_harmony_encoding
from harmony_py.errors import WireError
from harmony_py.wire import Usage
from harmony_py.wire.chat_completions import ChatStream, Reply, read_request
from harmony_py.wire.ids import random_id

if TYPE_CHECKING:
    from collections.abc import Iterator

encoding = load_harmony_encoding()


def sample(prompt: list[int]) -> Iterator[int]:
    """What an engine would do."""
    thought = "<|channel|>analysis<|message|>Count.<|end|><|start|>assistant"
    answer = f"<|channel|>final<|message|>{len(prompt)} tokens.<|return|>"
    yield from encoding.encode(thought + answer, allowed_special="all")


def chunks(body: object) -> Iterator[dict[str, object]]:
    request = read_request(body, system=SystemContent(conversation_start_date=time.strftime("%Y-%m-%d")))
    prompt = encoding.render_conversation_for_completion(request.conversation)
    parser = encoding.parser("assistant", policy="recover", tools=request.options.tools.full())
    reply = Reply.to(request.options, reply_id=random_id("chatcmpl"), created=int(time.time()))
    stream = ChatStream(reply)
    for token in sample(prompt):
        yield from stream.feed(parser.feed(token))
    yield from stream.finish(parser.finish(), "stop", Usage.of(len(prompt), parser))


def main() -> int:
    try:
        for chunk in chunks(json.load(sys.stdin)):
            print(json.dumps(chunk, ensure_ascii=False))
    except (WireError, json.JSONDecodeError) as error:
        print(
            json.dumps(
                error.to_dict() if isinstance(error, WireError) else {"error": {"message": str(error)}}
            )
        )
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
