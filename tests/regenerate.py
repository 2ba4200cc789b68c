"""Writes the golden files anew: `python -m tests.regenerate` in the root of the repository.

Each file in `fixtures/golden` holds its inputs and, beside them, what an oracle makes of them. An input is
added by hand, without outputs; this fills them in. `fixtures/golden/SOURCES.md` says which oracle made what;
`tests/differential/test_fixtures.py` fails when a file is not what this would write.
"""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harmony_py.format.parse import parse
from harmony_py.testing.adapters import load
from harmony_py.testing.implementation import Fields, Implementation, RefusedError
from harmony_py.testing.tokens import spelled

if TYPE_CHECKING:
    from collections.abc import Callable

GOLDEN = Path(__file__).parents[1] / "fixtures" / "golden"
_WIDTH = 140
ORACLE = ("openai-harmony", "0.0.8")


def conversation(case: dict[str, Any], oracle: Implementation) -> dict[str, Any]:
    """A conversation in each of the three ways to render one."""
    messages = case["messages"]
    return {
        "what": case["what"],
        "messages": messages,
        "conversation": oracle.render(messages),
        "completion": oracle.render(messages, next_role="assistant"),
        "training": oracle.render(messages, training=True),
    }


def long_text(case: dict[str, Any], oracle: Implementation) -> dict[str, Any]:
    """A message too long to be shown: how many tokens it is, and the hash of their text."""
    tokens = oracle.render([case["message"]])
    digest = hashlib.sha256(oracle.decode(tokens).encode()).hexdigest()
    return {"what": case["what"], "message": case["message"], "length": len(tokens), "sha256": digest}


def stream(case: dict[str, Any], oracle: Implementation) -> dict[str, Any]:
    """A stream: how the oracle reads it, strictly or not, and how our own parser recovers it."""
    tokens, role = case["tokens"], case["role"]
    recovered = parse(tokens, role, policy="recover", tools=case.get("tools"))
    return {
        "what": case["what"],
        "stream": spelled(tokens),
        "tokens": tokens,
        "role": role,
        **({"tools": case["tools"]} if case.get("tools") else {}),
        "openai_harmony": {
            "strict": _read(lambda: oracle.parse(tokens, role)),
            "not_strict": _read(lambda: oracle.recover(tokens, role)),
        },
        "harmony_py": {
            "recovered": [Fields.of(message).plain() for message in recovered.messages],
            "diagnostics": [each.code for each in recovered.diagnostics],
        },
    }


def _read(parse_it: Callable[[], Any]) -> Any:
    try:
        return [Fields.of(message).plain() for message in parse_it()]
    except RefusedError as refusal:
        return {"error": str(refusal)}


FILES: dict[str, Callable[[dict[str, Any], Implementation], dict[str, Any]]] = {
    "conversations.json": conversation,
    "long.json": long_text,
    "streams.json": stream,
}
"""What fills the cases of each file."""


def fresh(name: str, oracle: Implementation) -> str:
    """The file as it should be."""
    cases = json.loads((GOLDEN / name).read_text("utf-8"))
    return dumps([FILES[name](case, oracle) for case in cases]) + "\n"


def dumps(value: Any, indent: str = "") -> str:
    """JSON in which what fits on a line, and every list of ids, stands on one."""
    line = json.dumps(value, ensure_ascii=False)
    is_ids = isinstance(value, list) and all(isinstance(each, int) for each in value)
    if len(indent + line) <= _WIDTH or is_ids or not isinstance(value, dict | list):
        return line
    inner = f"{indent} "
    if isinstance(value, dict):
        parts = [f"{inner}{json.dumps(key)}: {dumps(each, inner)}" for key, each in value.items()]
        return "{\n" + ",\n".join(parts) + f"\n{indent}}}"
    return "[\n" + ",\n".join(f"{inner}{dumps(each, inner)}" for each in value) + f"\n{indent}]"


def main() -> int:
    oracle = load("openai_harmony")
    if (oracle.name, oracle.version) != ORACLE:
        print(f"the oracle is {' '.join(ORACLE)}, not {oracle.name} {oracle.version}", file=sys.stderr)
        return 2
    for name in FILES:
        text = fresh(name, oracle)
        changed = text != (GOLDEN / name).read_text("utf-8")
        (GOLDEN / name).write_text(text, "utf-8")
        print(f"{name}: {'written anew' if changed else 'as it was'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
