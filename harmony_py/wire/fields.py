"""Reading JSON from strangers: field by field, every error naming the field's path.

The messages and codes of the errors are worded like the API's own.
"""

from __future__ import annotations

import re
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from harmony_py.errors import WireError
from harmony_py.tokenizer.special import N_VOCAB

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

_DEEPEST: Final = 100
"""Levels of objects and arrays in a request; the renderer itself gives up a little later."""

_LONGEST_QUOTE: Final = 80

_WORD: Final = re.compile(r"[^\s<\x00-\x1f\x7f-\x9f]+")
_FUNCTION_NAME: Final = re.compile(r"[a-zA-Z0-9_-]{1,64}")
_NAMES: Final = {
    dict: "an object",
    list: "an array",
    str: "a string",
    bool: "a boolean",
    int: "an integer",
    float: "a decimal",
    type(None): "null",
}


def check_json(value: object) -> None:
    """Refuse what is no JSON, or is JSON that no text can hold: lone surrogates, numbers beyond all bounds.

    After this, whatever comes out of `value` can be rendered. It looks at everything once.
    """
    stack: list[tuple[_Place | None, object, int]] = [(None, value, 0)]
    while stack:
        place, item, depth = stack.pop()
        if isinstance(item, str):
            _check_text(item, place)
        elif isinstance(item, dict | list):
            if depth == _DEEPEST:
                raise invalid(_path(place), f"nested deeper than {_DEEPEST} levels")
            stack += [((place, key), inner, depth + 1) for key, inner in _members(item, place)]
        elif not (item is None or isinstance(item, bool) or _is_number(item)):
            raise wrong_type(_path(place), "JSON", item)


_Place: TypeAlias = "tuple[_Place | None, str | int]"
"""Where something stands. Spelled out only for errors: a name may be long, and stand above many things."""


def _members(item: dict[Any, Any] | list[Any], place: _Place | None) -> Iterable[tuple[str | int, object]]:
    if isinstance(item, list):
        return enumerate(item)
    for key in item:
        if not isinstance(key, str):
            raise wrong_type(_path(place), "an object whose keys are strings", item)
        _check_text(key, place)
    return item.items()


def _check_text(text: str, place: _Place | None) -> None:
    try:
        text.encode()
    except UnicodeEncodeError:
        raise invalid(_path(place), "it holds a lone surrogate, which no encoding can express") from None


def _path(place: _Place | None) -> str:
    steps: list[str] = []
    while place is not None:
        place, key = place
        steps.append(f"[{key}]" if isinstance(key, int) else f".{shortened(key)}")
    return "".join(reversed(steps)).removeprefix(".")


def _is_number(item: object) -> bool:
    try:
        return isinstance(item, int | float) and -float("inf") < float(item) < float("inf")
    except OverflowError:
        return False


def present(fields: Mapping[str, Any]) -> dict[str, Any]:
    """The fields that are not None."""
    return {name: value for name, value in fields.items() if value is not None}


def join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def shortened(text: str) -> str:
    """What a client wrote, for a message: not all of it, if it is long."""
    return text if len(text) <= _LONGEST_QUOTE else text[:_LONGEST_QUOTE] + "..."


# -- errors ------------------------------------------------------------------------------------------------


def wrong_type(path: str, wanted: str, value: object) -> WireError:
    found = _NAMES.get(type(value), type(value).__name__)
    where = f"'{path}'" if path else "the request"
    return WireError(
        f"Invalid type for {where}: expected {wanted}, but got {found} instead.", path or None, "invalid_type"
    )


def missing(path: str) -> WireError:
    return WireError(f"Missing required parameter: '{path}'.", path, "missing_required_parameter")


def invalid(path: str, problem: str) -> WireError:
    return WireError(f"Invalid value for '{path}': {problem}.", path or None, "invalid_value")


def unsupported(path: str, problem: str) -> WireError:
    """Something that the API has and this package does not."""
    return WireError(f"Unsupported value for '{path}': {problem}.", path, "unsupported_value")


def one_of(path: str, value: str, allowed: tuple[str, ...]) -> WireError:
    listed = ", ".join(f"'{each}'" for each in allowed)
    return WireError(
        f"Invalid value: '{shortened(value)}'. Supported values are: {listed}.", path, "invalid_value"
    )


@contextmanager
def blaming_server() -> Iterator[None]:
    """Errors in what a server sent say so."""
    try:
        yield
    except WireError as error:
        raise WireError(error.message, error.param, error.code, "invalid_response_error") from None


def served_error(error: object) -> WireError:
    """What a server says went wrong, in whatever form it says so."""
    told = error if isinstance(error, dict) else {"message": error}
    code, param = (str(told[name]) if told.get(name) is not None else None for name in ("code", "param"))
    return WireError(f"The server says: {told.get('message')}", param, code)


# -- words -------------------------------------------------------------------------------------------------


def checked_word(word: str, path: str) -> str:
    """`word`, if it can stand in a header."""
    if not _WORD.fullmatch(word):
        raise invalid(path, "expected one word without spaces, '<' and control characters")
    return word


def checked_function_name(name: str, path: str) -> str:
    """`name`, if a function may be declared by it."""
    if not _FUNCTION_NAME.fullmatch(name):
        raise invalid(path, f"expected a string that matches the pattern '^{_FUNCTION_NAME.pattern}$'")
    return name


def checked_token(value: object, path: str) -> int:
    """`value`, if it is the id of a token."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise wrong_type(path, "a token", value)
    if not 0 <= value < N_VOCAB:
        raise invalid(path, f"expected a token from 0 to {N_VOCAB - 1}")
    return value


# -- objects -----------------------------------------------------------------------------------------------


class Fields:
    """One JSON object. Each field is taken once; `close` refuses what nobody took. Null counts as absent."""

    __slots__ = ("_left", "path")

    def __init__(self, value: object, path: str = "") -> None:
        if not isinstance(value, dict):
            raise wrong_type(path, "an object", value)
        self.path = path
        self._left: dict[str, Any] = value.copy()

    def at(self, name: str) -> str:
        """The path of a field."""
        return join(self.path, name)

    def take(self, name: str) -> Any:
        """A field of any type."""
        return self._left.pop(name, None)

    def need(self, name: str) -> Any:
        value = self.take(name)
        if value is None:
            raise missing(self.at(name))
        return value

    def text(self, name: str) -> str | None:
        value = self.take(name)
        if value is not None and not isinstance(value, str):
            raise wrong_type(self.at(name), "a string", value)
        return value

    def needed_text(self, name: str) -> str:
        value = self.text(name)
        if value is None:
            raise missing(self.at(name))
        return value

    def name(self, name: str) -> str:
        """A field that must be there and hold a name such as a function's."""
        return checked_function_name(self.needed_text(name), self.at(name))

    def needed_word(self, name: str) -> str:
        """A field that must be there and not be empty."""
        value = self.needed_text(name)
        if not value:
            raise invalid(self.at(name), "expected a string that is not empty")
        return value

    def choice(self, name: str, allowed: tuple[str, ...]) -> str | None:
        value = self.text(name)
        if value is not None and value not in allowed:
            raise one_of(self.at(name), value, allowed)
        return value

    def flag(self, name: str) -> bool | None:
        value = self.take(name)
        if value is not None and not isinstance(value, bool):
            raise wrong_type(self.at(name), "a boolean", value)
        return value

    def number(self, name: str, least: float, most: float) -> float | None:
        value = self.take(name)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise wrong_type(self.at(name), "a number", value)
        return float(self._within(name, value, least, most))

    def integer(self, name: str, least: int, most: int) -> int | None:
        value = self.take(name)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int):
            raise wrong_type(self.at(name), "an integer", value)
        return int(self._within(name, value, least, most))

    def _within(self, name: str, value: float, least: float, most: float) -> float:
        if not least <= value <= most:
            raise invalid(self.at(name), f"expected a value from {least} to {most}, but got {value}")
        return value

    def count(self, name: str) -> int:
        """A number of things; absent is none."""
        return self.integer(name, 0, 2**53) or 0

    def object(self, name: str) -> Fields | None:
        value = self.take(name)
        return None if value is None else Fields(value, self.at(name))

    def needed_object(self, name: str) -> Fields:
        return Fields(self.need(name), self.at(name))

    def schema(self, name: str) -> dict[str, Any] | None:
        """An object that is kept as it is."""
        value = self.take(name)
        if value is not None and not isinstance(value, dict):
            raise wrong_type(self.at(name), "an object", value)
        return value

    def array(self, name: str) -> list[tuple[str, Any]]:
        """The elements of an array, each with its path; none if there is no array."""
        value = self.take(name)
        if value is None:
            return []
        if not isinstance(value, list):
            raise wrong_type(self.at(name), "an array", value)
        return [(f"{self.at(name)}[{i}]", item) for i, item in enumerate(value)]

    def names(self) -> list[str]:
        """The fields that nobody took so far."""
        return list(self._left)

    def rest(self) -> dict[str, Any]:
        """What nobody took, and takes it."""
        left, self._left = self._left, {}
        return present(left)

    def close(self) -> None:
        """Refuse fields that nobody took: the API knows no such field."""
        for name in self.rest():
            path = self.at(shortened(name))
            raise WireError(f"Unknown parameter: '{path}'.", path, "unknown_parameter")
