"""The page: one HTML document with everything inside, and the policy that keeps everything else out.

Style and script are admitted by their hashes, so that nothing else is run or applied, whatever the texts say
that the page shows; and the page sets no text as markup, which `trusted-types 'none'` makes the browser
enforce.
"""

from __future__ import annotations

import base64
import functools
import hashlib
import json
from importlib import resources
from string import Template
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from harmony_py.format.events import CODES
from harmony_py.format.grammar import TABLE, expected
from harmony_py.testing.mutate import OPERATORS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from harmony_py.inspector.examples import Example

SCRIPTS: Final = ("ask.js", "draw.js", "replay.js", "tokens.js", "messages.js", "schema.js", "main.js")
"""In this order they are one module."""

_NOT_IN_SCRIPT: Final = str.maketrans({"<": "\\u003c", ">": "\\u003e", "&": "\\u0026"})


class Document(NamedTuple):
    html: str
    policy: str
    """The Content-Security-Policy. It stands in the document, and goes before it where there is a server."""


def document(
    examples: Sequence[Example],
    schemas: Sequence[dict[str, Any]],
    answers: Sequence[dict[str, Any]] | None = None,
) -> Document:
    """The page with these examples. With `answers`, one for each example, it asks no server.

    An example's answers are by name; see `export`.
    """
    style, script = _style(), _script()
    live = answers is None
    policy = _policy(style, script, live)
    data = {
        "live": live,
        "states": {state.value: list(expected(state)) for state in TABLE},
        "codes": CODES,
        "operators": {name: operator.title for name, operator in OPERATORS.items()},
        "examples": [
            {"group": each.group, "name": each.name, "source": each.source.model_dump()} for each in examples
        ],
        "schemas": list(schemas),
        "answers": list(answers or ()),
    }
    html = Template(_part("page.html")).substitute(
        policy=policy,
        style=style,
        script=script,
        data=json.dumps(data, separators=(",", ":")).translate(_NOT_IN_SCRIPT),
    )
    return Document(html, policy)


def _policy(style: str, script: str, live: bool) -> str:
    """Nothing is loaded from anywhere; only a server's own answers are."""
    return "; ".join(
        [
            "default-src 'none'",
            f"script-src {_hash(script)}",
            f"style-src {_hash(style)}",
            "img-src data:",
            *(["connect-src 'self'"] if live else []),
            "base-uri 'none'",
            "form-action 'none'",
            "require-trusted-types-for 'script'",
            "trusted-types 'none'",
        ]
    )


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


@functools.cache
def _style() -> str:
    return _part("style.css")


@functools.cache
def _script() -> str:
    return '"use strict";\n' + "\n".join(map(_part, SCRIPTS))


def _part(name: str) -> str:
    return (resources.files("harmony_py.inspector") / "page" / name).read_text("utf-8")
