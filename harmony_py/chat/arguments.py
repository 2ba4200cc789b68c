"""The arguments of a tool call: JSON or a clear error, and on request repaired."""

from __future__ import annotations

import ast
import json
import re
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from harmony_py.errors import ArgumentsError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_LONGEST_LITERAL: Final = 100_000
"""In characters: Python's own parser is not asked about more."""

_FENCE: Final = re.compile(r"\s*```[A-Za-z]*\n(.*?)\n?```\s*", re.DOTALL)
_PIECE: Final = re.compile(
    r'(?P<string>"(?:[^"\\]|\\.)*(?P<closed>")?)|(?P<comment>//[^\n]*|/\*.*?(?:\*/|$))|(?P<mark>[\[\]{},])',
    re.DOTALL,
)
_DANGLING_ESCAPE: Final = re.compile(r"\\(?:u[0-9a-fA-F]{0,3})?$")
_WRAPPER_KEYS: Final = ({"name", "parameters"}, {"name", "arguments"})


class Arguments(NamedTuple):
    value: dict[str, Any]
    repairs: tuple[str, ...]
    """What had to be repaired, in order; empty for text that is a JSON object as it stands."""

    @property
    def repaired(self) -> bool:
        return bool(self.repairs)


def parse_arguments(text: str, *, repair: bool = False, only_parameter: str | None = None) -> Arguments:
    """The JSON object in `text`, the content of a tool call; `ArgumentsError` if there is none.

    With `repair`, code fences, comments, trailing commas and brackets, Python literals, wrappers around the
    object and text that was cut short are dealt with, and the result says which of them there were. A cut
    call ran out of tokens: think twice before executing it. Where the tool takes a single parameter, naming
    it as `only_parameter` lets bare text such as `ls -R` be that parameter's value.
    """
    try:
        value = _load(text)
        if isinstance(value, dict) and not (repair and _is_call(value)):
            return Arguments(value, ())
        problem, position = f"the arguments are a JSON {_kind(value)}, not an object", 0
    except _NotJsonError as error:
        problem, position = str(error), error.position
    found = _repaired(text, only_parameter) if repair else None
    if found is None:
        raise ArgumentsError(problem, text, position)
    return found


class _NotJsonError(ValueError):
    def __init__(self, message: str, position: int) -> None:
        super().__init__(message)
        self.position = position


def _load(text: str) -> Any:
    """`text` as JSON proper: no NaN, no nesting beyond what the interpreter stands."""
    try:
        return json.loads(text, parse_constant=_refuse_constant)
    except json.JSONDecodeError as error:
        raise _NotJsonError(f"the arguments are not JSON: {error.msg}", error.pos) from None
    except RecursionError:
        raise _NotJsonError("the arguments are not JSON that can be read: nested too deeply", 0) from None
    except ValueError as error:
        raise _NotJsonError(f"the arguments are not JSON that can be read: {error}", 0) from None


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON")


def _kind(value: object) -> str:
    names: dict[type, str] = {list: "array", str: "string", bool: "boolean", type(None): "null"}
    return names.get(type(value), "number")


# -- repairs -----------------------------------------------------------------------------------------------


def _repaired(text: str, only_parameter: str | None) -> Arguments | None:
    for value, repairs in _readings(text):
        unwrapped, wrappings = _unwrap(value)
        if isinstance(unwrapped, dict):
            return Arguments(unwrapped, (*repairs, *wrappings))
    if only_parameter is None or not text.strip():
        return None
    return Arguments({only_parameter: text}, ("bare_text",))


def _readings(text: str) -> Iterator[tuple[Any, tuple[str, ...]]]:
    """What `text` may mean, the least repaired first. Each repair goes on where the one before it stopped."""
    repairs: tuple[str, ...] = ()
    steps: list[tuple[str, Callable[[str], str]]] = [
        ("code_fence", _without_fence),
        ("comments", _without_comments),
        ("trailing_commas", _without_trailing_commas),
        ("trailing_brackets", _without_trailing_brackets),
    ]
    yield from _reading(text, repairs)
    for name, step in steps:
        changed = step(text)
        if changed != text:
            text, repairs = changed, (*repairs, name)
            yield from _reading(text, repairs)
    yield from _python_literal(text, (*repairs, "python_literal"))
    for cut in _closed(text):
        yield from _reading(cut, (*repairs, "cut_short"))


def _reading(text: str, repairs: tuple[str, ...]) -> Iterator[tuple[Any, tuple[str, ...]]]:
    try:
        yield _load(text), repairs
    except _NotJsonError:
        return


def _without_fence(text: str) -> str:
    """What stands between the fences around all of `text`; there may be others in it."""
    fenced = _FENCE.fullmatch(text)
    return fenced[1] if fenced else text


def _without_comments(text: str) -> str:
    return _PIECE.sub(lambda piece: "" if piece["comment"] else piece[0], text)


def _without_trailing_commas(text: str) -> str:
    commas: list[int] = []
    last: re.Match[str] | None = None
    for piece in _PIECE.finditer(text):
        if (
            last
            and last[0] == ","
            and piece[0] in ("]", "}")
            and not text[last.end() : piece.start()].strip()
        ):
            commas.append(last.start())
        last = piece
    return "".join(
        text[a:b] for a, b in zip([0, *(i + 1 for i in commas)], [*commas, len(text)], strict=True)
    )


def _without_trailing_brackets(text: str) -> str:
    """`text` up to the end of its first value, if nothing but closing brackets follows."""
    start = len(text) - len(text.lstrip())
    try:
        _, end = json.JSONDecoder().raw_decode(text, start)
    except (ValueError, RecursionError):
        return text
    return text[:end] if set(text[end:]) <= set("]} \t\r\n`") else text


def _python_literal(text: str, repairs: tuple[str, ...]) -> Iterator[tuple[Any, tuple[str, ...]]]:
    if len(text) > _LONGEST_LITERAL:
        return
    try:
        value = ast.literal_eval(text.strip())
        json.dumps(value, allow_nan=False)
    except (ValueError, TypeError, SyntaxError, RecursionError, MemoryError):
        return
    yield value, repairs


def _closed(text: str) -> Iterator[str]:
    """`text` with what it left open closed: as far as it goes, else without its last, unfinished member."""
    open_brackets: list[tuple[str, int]] = []
    ending = ""
    for piece in _PIECE.finditer(text):
        sign = piece["mark"]
        if sign in ("[", "{"):
            open_brackets.append(("]" if sign == "[" else "}", piece.end()))
        elif sign in ("]", "}") and open_brackets:
            open_brackets.pop()
        elif sign == "," and open_brackets:
            open_brackets[-1] = (open_brackets[-1][0], piece.start())
        elif piece["string"] and not piece["closed"]:
            text = _DANGLING_ESCAPE.sub("", text)
            ending = '"'
    if not open_brackets:
        return
    closing = "".join(bracket for bracket, _ in reversed(open_brackets))
    yield text + ending + closing
    yield text[: open_brackets[-1][1]] + closing


def _is_call(value: dict[str, Any]) -> bool:
    """Whether an object is a call with its arguments inside, not the arguments."""
    inner = value.get("parameters", value.get("arguments"))
    return set(value) in _WRAPPER_KEYS and isinstance(value["name"], str) and isinstance(inner, dict | str)


def _unwrap(value: Any) -> tuple[Any, tuple[str, ...]]:
    """What is inside a list of one, a string of JSON, or an object that repeats the call's name."""
    wrappings: tuple[str, ...] = ()
    while True:
        if isinstance(value, list) and len(value) == 1:
            value, wrappings = value[0], (*wrappings, "array")
        elif isinstance(value, dict) and _is_call(value):
            value, wrappings = value.get("parameters", value.get("arguments")), (*wrappings, "call")
        elif isinstance(value, str):
            try:
                value, wrappings = _load(value), (*wrappings, "string")
            except _NotJsonError:
                return value, wrappings
        else:
            return value, wrappings
