"""What models really write, and what becomes of it: every published vector, refused and recovered.

python examples/recover.py [pattern, for example M10]
"""

from __future__ import annotations

import json
import sys
from importlib import resources

from harmony_py.errors import ParseError
from harmony_py.format.parse import parse


def main(arguments: list[str]) -> None:
    files = sorted(resources.files("harmony_py.testing.vectors").iterdir(), key=lambda file: file.name)
    for file in files:
        if not file.name.endswith(".json"):
            continue
        document = json.loads(file.read_text(encoding="utf-8"))
        if document["kind"] == "tokens" and document["pattern"] in (arguments or [document["pattern"]]):
            print(f"\n{document['pattern']}  {document['title']}")
            for case in document["cases"]:
                show(case["stream"] or str(case["tokens"]), case["tokens"], case["role"], case.get("tools"))


def show(stream: str, tokens: list[int], role: str | None, tools: list[str] | None) -> None:
    print(f"\n    {stream!r}")
    try:
        strict = f"{len(parse(tokens, role, tools=tools).messages)} messages"
    except ParseError as error:
        strict = error.reason
    print(f"      strict    {strict}")
    result = parse(tokens, role, policy="recover", tools=tools)
    for message in result.messages:
        to = f" to {message.recipient}" if message.recipient else ""
        print(f"      recover   {message.author.role.value}, {message.channel}{to}: {message.text!r}")
    for diagnostic in result.diagnostics:
        start, end = diagnostic.span
        print(f"                {diagnostic.code} in tokens {start}..{end} {diagnostic.detail}".rstrip())


if __name__ == "__main__":
    main(sys.argv[1:])
