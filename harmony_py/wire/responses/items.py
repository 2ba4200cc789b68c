"""`input` of a Responses request, read into harmony messages."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from harmony_py.chat import Role
from harmony_py.format.retention import ANALYSIS
from harmony_py.wire.fields import Fields, invalid, missing, one_of, shortened, unsupported
from harmony_py.wire.history import Calls, answer, call, preamble, result, said, speakable, thought
from harmony_py.wire.opening import instruction
from harmony_py.wire.parts import read_text
from harmony_py.wire.responses.store import NOTHING_SAID, Past
from harmony_py.wire.tools import BROWSER, PYTHON

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from harmony_py.chat import Message
    from harmony_py.wire.responses.store import Store
    from harmony_py.wire.tools import ToolNames

_ROLES: Final = ("user", "assistant", "system", "developer")
_TEXTS: Final = {"input_text": "text", "output_text": "text", "text": "text", "refusal": "refusal"}
_CODE: Final = "code"
"""The content type of calls that the models make while they think."""


def read_items(
    items: Iterable[tuple[str, Any]],
    names: ToolNames,
    earlier: Past = NOTHING_SAID,
    store: Store | None = None,
) -> Past:
    """What was said once these items, each with its path, are said too."""
    calls = Calls(names, earlier.calls)
    reader = _Reader(calls, store)
    given = [message for path, item in items for message in reader.read(item, path)]
    return Past((*earlier.turns, *given), calls.recipients)


class _Reader:
    """Reads items one after the other, for a result names its call only by an id."""

    def __init__(self, calls: Calls, store: Store | None) -> None:
        self._calls = calls
        self._store = store
        self._by_type: dict[str, Callable[[Fields], list[Message]]] = {
            "message": _message,
            "reasoning": _reasoning,
            "function_call": self._function_call,
            "function_call_output": self._function_call_output,
            "web_search_call": _web_search,
            "code_interpreter_call": _code_interpreter,
            "mcp_call": _mcp,
            "mcp_list_tools": _nothing,
        }

    def read(self, item: Any, path: str) -> list[Message]:
        fields = Fields(item, path)
        kind = fields.text("type") or ("message" if "role" in item else "item_reference")
        if kind == "item_reference":
            fields = self._resolved(fields)
            kind = fields.needed_text("type")
        if kind not in self._by_type:
            raise unsupported(
                fields.at("type"), f"items of the type '{shortened(kind)}' cannot be told to these models"
            )
        messages = self._by_type[kind](fields)
        for ignored in ("id", "status"):
            fields.text(ignored)
        fields.close()
        return messages

    def _resolved(self, fields: Fields) -> Fields:
        item_id = fields.needed_text("id")
        fields.close()
        found = self._store.item(item_id) if self._store else None
        if found is None:
            raise invalid(fields.at("id"), f"there is no item with the id '{shortened(item_id)}'")
        return Fields(found, fields.path)

    def _function_call(self, fields: Fields) -> list[Message]:
        name = fields.needed_word("name")
        for ignored in ("caller", "namespace"):
            fields.take(ignored)
        return [self._calls.made(fields.needed_text("call_id"), name, fields.needed_text("arguments"))]

    def _function_call_output(self, fields: Fields) -> list[Message]:
        call_id = fields.needed_text("call_id")
        for ignored in ("caller", "namespace", "name"):
            fields.take(ignored)
        text = _text(fields, "output")
        return [self._calls.answered(call_id, text, fields.at("call_id"))]


def _message(fields: Fields) -> list[Message]:
    role = fields.needed_text("role")
    if role not in _ROLES:
        raise one_of(fields.at("role"), role, _ROLES)
    phase = fields.choice("phase", ("commentary", "final_answer"))
    text = _text(fields, "content")
    if role == "assistant":
        return [preamble(text) if phase == "commentary" else answer(text)]
    return [said(Role.USER, text) if role == "user" else instruction(text)]


def _text(fields: Fields, name: str) -> str:
    text = read_text(fields, name, _TEXTS, ("annotations", "logprobs", "prompt_cache_breakpoint"))
    if text is None:
        raise missing(fields.at(name))
    return text


def _reasoning(fields: Fields) -> list[Message]:
    """The thoughts themselves or, where they are not given, their summary."""
    texts = _listed(fields, "content", "reasoning_text")
    summaries = _listed(fields, "summary", "summary_text")
    encrypted = fields.text("encrypted_content")
    if not (texts or summaries) and encrypted:
        raise unsupported(fields.at("encrypted_content"), "nobody here can decrypt it")
    return [thought(text) for text in texts or summaries]


def _listed(fields: Fields, name: str, kind: str) -> list[str]:
    texts = []
    for path, item in fields.array(name):
        part = Fields(item, path)
        part.choice("type", (kind,))
        texts.append(part.needed_text("text"))
        part.close()
    return texts


# -- calls that a server answered ----------------------------------------------------------------------------


def _web_search(fields: Fields) -> list[Message]:
    action = fields.needed_object("action")
    kind = action.needed_text("type")
    given = action.rest()
    if kind == "search":
        queries = given.get("queries") or [""]
        function, arguments = "search", {"query": given.get("query") or queries[0]}
    elif kind == "open_page":
        function, arguments = "open", {"id": given.get("url")}
    elif kind == "find_in_page":
        function, arguments = "find", {"pattern": given.get("pattern")}
    else:
        raise one_of(action.at("type"), kind, ("search", "open_page", "find_in_page"))
    return [call(f"{BROWSER}.{function}", json.dumps(arguments, ensure_ascii=False), ANALYSIS, _CODE)]


def _code_interpreter(fields: Fields) -> list[Message]:
    fields.text("container_id")
    code = fields.text("code") or ""
    logs = []
    for path, item in fields.array("outputs"):
        output = Fields(item, path)
        if output.needed_text("type") == "logs":
            logs.append(output.needed_text("logs"))
    messages = [call(PYTHON, code, ANALYSIS, _CODE)]
    return [*messages, result(PYTHON, "".join(logs), ANALYSIS)] if logs else messages


def _mcp(fields: Fields) -> list[Message]:
    recipient = speakable(f"{fields.needed_word('server_label')}.{fields.needed_text('name')}")
    fields.take("approval_request_id")
    output, error = fields.text("output"), fields.take("error")
    messages = [call(recipient, fields.needed_text("arguments"))]
    if output is None and error is not None:
        output = json.dumps(error, ensure_ascii=False)
    return messages if output is None else [*messages, result(recipient, output)]


def _nothing(fields: Fields) -> list[Message]:
    """What tools there are, the system message says anew each time."""
    fields.rest()
    return []
