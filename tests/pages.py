"""Writes those parts of the documentation that are made of the code: `python -m tests.pages` in the root.

Such a page has a line that says so; what stands above it is written by hand, what stands below is made here.
`tests/integration/test_site.py` fails when a page is not what this would write.
"""

from __future__ import annotations

import ast
import importlib
import json
import textwrap
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harmony_py.cli import COMMANDS, EXIT_CODES

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[1]
MARK = "<!-- Below this line the page is made by `python -m tests.pages`. -->\n"


# -- recovery: the published vectors -----------------------------------------------------------------------


def recovery() -> str:
    """Each pattern of malformed output, and what becomes of each of its cases."""
    documents = []
    for file in resources.files("harmony_py.testing.vectors").iterdir():
        if file.name.endswith(".json"):
            documents.append(json.loads(file.read_text(encoding="utf-8")))
    documents.sort(key=lambda document: int(document["pattern"][1:]))
    return "\n".join(line for document in documents for line in _pattern(document))


def _pattern(document: dict[str, Any]) -> Iterator[str]:
    yield f"## {document['pattern']}. {document['title'].removesuffix('.')}\n"
    yield f"Seen in {document['seen_in']}.\n"
    for case in document["cases"]:
        prompt = f", behind the role `{case['role']}`" if case.get("role") not in (None, "assistant") else ""
        yield f"**{case['name'].capitalize()}**{prompt}\n"
        yield f"```text\n{_written(case)}\n```\n"
        yield from _KINDS[document["kind"]](case)
        yield ""


def _written(case: dict[str, Any]) -> str:
    """What the model wrote: spelled out where that is possible, else its ids."""
    if case.get("prompt_stream"):
        return f"{case['prompt_stream']}\n... and then:\n{case['stream']}"
    text = case.get("text", case.get("stream"))
    return " ".join(map(str, case["tokens"])) if text is None else str(text)


def _of_tokens(case: dict[str, Any]) -> Iterator[str]:
    strict = case["strict"]
    if "error" in strict:
        yield f"- strict refuses: {strict['error'].splitlines()[0]}"
    else:
        yield f"- strict: {_messages(strict['messages'])}"
    yield f"- recover: {_messages(case['recover']['messages'])}"
    if codes := list(dict.fromkeys(each["code"] for each in case["recover"]["diagnostics"])):
        yield f"- reported: {', '.join(f'`{code}`' for code in codes)}"


def _of_messages(case: dict[str, Any]) -> Iterator[str]:
    yield f"- {_messages(case['messages'])}"


def _of_arguments(case: dict[str, Any]) -> Iterator[str]:
    valid = "takes it" if case["strict"]["valid"] else "refuses it"
    yield f"- strict {valid}"
    repaired = case["repair"]
    if "value" in repaired:
        by = f", by {', '.join(f'`{name}`' for name in repaired['repairs'])}" if repaired["repairs"] else ""
        yield f"- repaired: {_code(json.dumps(repaired['value'], ensure_ascii=False))}{by}"
    else:
        yield "- not repaired: nobody can tell what was meant"


_KINDS = {"tokens": _of_tokens, "prompt": _of_messages, "text": _of_messages, "arguments": _of_arguments}


def _messages(messages: list[dict[str, Any]]) -> str:
    if not messages:
        return "no message"
    return "; ".join(_message(message) for message in messages)


def _message(message: dict[str, Any]) -> str:
    author = "" if message["role"] == "assistant" else f"{message.get('name') or message['role']}, "
    channel = message.get("channel") or "no channel"
    to = f" to `{message['recipient']}`" if "recipient" in message else ""
    return f"{author}{channel}{to}: {_code(message['text'])}"


def _code(text: str) -> str:
    """`text` as inline code, whatever is in it."""
    shown = text.replace("\n", "⏎")
    fence = "``" if "`" in shown else "`"
    space = " " if fence == "``" or not shown.strip() else ""
    return f"{fence}{space}{shown}{space}{fence}" if shown else "*empty*"


# -- commands and examples ---------------------------------------------------------------------------------


def commands() -> str:
    """What `--help` says of each command, without the list of its options."""
    parts = [f"```text\n{EXIT_CODES}\n```\n"]
    for name in COMMANDS:
        text = importlib.import_module(f"harmony_py.cli.{name}").__doc__ or ""
        parts.append(f"## {name}\n\n```text\n{text.rstrip()}\n```\n")
    return "\n".join(parts)


def examples() -> str:
    """Every example: what it shows, and itself."""
    parts = []
    for path in sorted((ROOT / "examples").glob("*.py")):
        source = path.read_text("utf-8")
        tree = ast.parse(source)
        about = (ast.get_docstring(tree) or "").strip()
        code = "".join(source.splitlines(keepends=True)[tree.body[0].end_lineno :]).strip("\n")
        code = code.removeprefix("from __future__ import annotations\n").lstrip("\n")
        parts.append(f"## {path.stem}\n\n{textwrap.dedent(about)}\n\n```py\n{code}\n```\n")
    return "\n".join(parts)


PAGES = {"recovery.md": recovery, "commands.md": commands, "examples.md": examples}
"""Pages in `docs/`, and what makes their lower parts."""


def whole(name: str, current: str) -> str:
    """The page as it should be, given how it is: its upper part is kept."""
    upper, mark, _ = current.partition(MARK)
    if not mark:
        raise ValueError(f"docs/{name} has no line {MARK!r}")
    return f"{upper}{MARK}\n{PAGES[name]().rstrip()}\n"


def main() -> None:
    for name in PAGES:
        path = ROOT / "docs" / name
        path.write_text(whole(name, path.read_text("utf-8")), "utf-8")


if __name__ == "__main__":
    main()
