"""JSON that fits a schema, as a grammar: as the schema says, or an error that names the place.

Some things are narrower than the schema, never wider: properties come in the order in which it names them;
where it names some without saying `additionalProperties`, no others come; `<` within a string of limited
length, or with a pattern, comes as an escape.
"""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any, Final

from harmony_py.chat.pointers import follow, path_of
from harmony_py.constrain.gbnf import numbers, text
from harmony_py.constrain.gbnf.pattern import in_string
from harmony_py.constrain.gbnf.rules import NOTHING, one_of, quoted
from harmony_py.constrain.schema import ENGINE_SETTINGS
from harmony_py.errors import ConstraintError

if TYPE_CHECKING:
    from harmony_py.constrain.gbnf.rules import Rules

_SILENT: Final = frozenset(
    {
        *("$schema", "$id", "$comment", "$defs", "definitions", "title", "description", "default"),
        *("example", "examples", "deprecated", "readOnly", "writeOnly", ENGINE_SETTINGS),
    }
)
"""Words that forbid nothing."""

_WORDS: Final[dict[str, frozenset[str]]] = {
    "object": frozenset({"properties", "required", "additionalProperties"}),
    "array": frozenset({"items", "prefixItems", "minItems", "maxItems"}),
    "string": frozenset({"minLength", "maxLength", "pattern"}),
    "number": frozenset({"minimum"}),
    "integer": frozenset({"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"}),
    "boolean": frozenset(),
    "null": frozenset(),
}
"""What can be said of each kind of value."""

_FORMS: Final[dict[str, tuple[type, ...]]] = {
    "$ref": (str,),
    "enum": (list,),
    "pattern": (str,),
    "prefixItems": (list,),
    "properties": (dict,),
    "required": (list,),
    "type": (str, list),
}
"""What stands behind a word. Schemas come from strangers."""

_SPACE: Final = 64
"""Characters of whitespace in a row; there is an end to it for the same reason as in our own masks."""


_LARGEST: Final = 10**30
"""Bounds are written digit by digit."""


class Schema:
    """A schema that is being written into `rules`."""

    def __init__(self, schema: str, where: str, rules: Rules, number: int) -> None:
        self._root: dict[str, Any] = json.loads(schema)
        self._where, self._rules, self._number = where, rules, number
        self._references: list[str] = []
        self._opened: list[str] = []
        """References that are being followed, and of whose values no character has come yet."""

    def written(self) -> str:
        return self._value(self._root, "")

    # -- any value -----------------------------------------------------------------------------------------

    def _value(self, schema: Any, place: str) -> str:
        if schema is True:
            schema = {}
        if not isinstance(schema, dict):
            raise self._error("nothing fits it", place)
        self._check_forms(schema, place)
        words = {word for word in schema if word not in _SILENT}
        for word, write in (("const", self._const), ("enum", self._enum), ("$ref", self._reference)):
            if word in words:
                self._only(words, {word, "type"}, place)
                return write(schema, f"{place}/{word}")
        for word in ("anyOf", "oneOf", "allOf"):
            if word in words:
                self._only(words, {word, "type"}, place)
                return self._choice(schema, word, f"{place}/{word}")
        kinds = schema.get("type", [kind for kind in _WORDS if kind != "integer"])
        kinds = [kinds] if isinstance(kinds, str) else kinds
        if not words:
            return self._rules.define("value", lambda: one_of(self._kind({}, each, place) for each in kinds))
        self._only(words, {"type"}.union(*(_WORDS.get(kind, ()) for kind in kinds)), place)
        return one_of(self._kind(schema, kind, place) for kind in kinds)

    def _check_forms(self, schema: dict[str, Any], place: str) -> None:
        for word, forms in _FORMS.items():
            value = schema.get(word, forms[0]())
            names = value if isinstance(value, list) and word in ("required", "type") else []
            if not isinstance(value, forms) or not all(isinstance(name, str) for name in names):
                raise self._error(f"makes no sense: {str(value)[:60]!r}", f"{place}/{word}")

    def _kind(self, schema: dict[str, Any], kind: str, place: str) -> str:
        match kind:
            case "object":
                return self._inside(self._object, schema, place)
            case "array":
                return self._inside(self._array, schema, place)
            case "string":
                return self._string(schema, place)
            case "number":
                return self._number_of(schema, place)
            case "integer":
                return self._integer(schema, place)
            case "boolean":
                return '("true" | "false")'
            case "null":
                return '"null"'
        raise self._error(f"no kind of value: {kind!r}", f"{place}/type")

    def _only(self, words: set[str], known: set[str], place: str) -> None:
        for word in sorted(words - known):
            raise self._error("a grammar of llama.cpp's cannot say it here", f"{place}/{word}")

    def _error(self, reason: str, place: str) -> ConstraintError:
        return ConstraintError(reason, f"{self._where}{place}")

    # -- choices -------------------------------------------------------------------------------------------

    def _const(self, schema: dict[str, Any], place: str) -> str:
        return self._enum({**schema, "enum": [schema["const"]]}, place)

    def _enum(self, schema: dict[str, Any], place: str) -> str:
        kinds = schema.get("type", list(_WORDS))
        kinds = [kinds] if isinstance(kinds, str) else kinds
        values = [value for value in schema["enum"] if any(_is_a(value, kind) for kind in kinds)]
        if not values:
            raise self._error("nothing fits it", place)
        return one_of(map(self._fixed, values))

    def _fixed(self, value: Any) -> str:
        """Exactly this value; only whitespace is free."""
        match value:
            case dict():
                members = (
                    f"{_name(name)} {self._colon} {self._fixed(inner)}" for name, inner in value.items()
                )
                return self._enclosed("{", self._separated(list(members)), "}", may_be_empty=not value)
            case list():
                return self._enclosed(
                    "[", self._separated(list(map(self._fixed, value))), "]", may_be_empty=not value
                )
        return quoted(_json(value))

    def _choice(self, schema: dict[str, Any], word: str, place: str) -> str:
        choices = schema[word]
        if not isinstance(choices, list) or not choices:
            raise self._error("expected a list of schemas", place)
        if word == "allOf" and len(choices) > 1:
            raise self._error("a grammar has no way to say both", place)
        kept = [(i, each) for i, each in enumerate(choices) if each is not False]
        kept = [(i, self._of_type(each, schema.get("type"), f"{place}/{i}")) for i, each in kept]
        if word == "oneOf" and not _are_apart([each for _, each in kept]):
            raise self._error("more than one of these might fit; if not, say anyOf", place)
        if not kept:
            raise self._error("nothing fits it", place)
        return one_of(self._value(each, f"{place}/{i}") for i, each in kept)

    def _of_type(self, schema: Any, kind: Any, place: str) -> Any:
        """`schema`, whose values have to be of this type, too."""
        if kind is None:
            return schema
        if isinstance(schema, dict) and "$ref" in schema:
            self._reference({**schema, "type": kind}, f"{place}/$ref")
            return schema
        if isinstance(schema, dict) and schema.get("type", kind) == kind:
            return {**schema, "type": kind}
        raise self._error(f"expected {kind!r}, as it stands beside the choice", f"{place}/type")

    def _reference(self, schema: dict[str, Any], place: str) -> str:
        reference = schema["$ref"]
        path = path_of(reference)
        target = None if path is None else follow(self._root, path)
        if target is None:
            raise self._error(f"{reference!r} points nowhere in the schema", place)
        if "type" in schema and (not isinstance(target, dict) or target.get("type") != schema["type"]):
            raise self._error(f"expected {schema['type']!r}, as it stands beside it", place)
        if reference in self._opened:
            raise self._error("begins with itself", place)
        if reference not in self._references:
            self._references.append(reference)
        name = f"schema-{self._number}-{self._references.index(reference)}"
        self._opened.append(reference)
        try:
            return self._rules.define(name, lambda: self._value(target, reference.removeprefix("#")))
        finally:
            self._opened.pop()

    def _inside(self, write: Any, schema: dict[str, Any], place: str) -> str:
        """Behind a bracket every reference may come again."""
        opened, self._opened = self._opened, []
        try:
            return str(write(schema, place))
        finally:
            self._opened = opened

    # -- objects and arrays --------------------------------------------------------------------------------

    @property
    def _space(self) -> str:
        return self._rules.define("space", lambda: f"[ \\n\\r\\t]{{0,{_SPACE}}}")

    @property
    def _colon(self) -> str:
        return f'{self._space} ":" {self._space}'

    @property
    def _comma(self) -> str:
        return f'{self._space} "," {self._space}'

    def _enclosed(self, opening: str, inner: str, closing: str, *, may_be_empty: bool = False) -> str:
        """What may be empty ends in `?` as a whole, or is nothing: whitespace comes once then."""
        if may_be_empty:
            inner = f"({inner.removesuffix('?')} {self._space})?" if inner != NOTHING else inner
            return f'"{opening}" {self._space} {inner} "{closing}"'
        return f'"{opening}" {self._space} {inner} {self._space} "{closing}"'

    def _separated(self, parts: list[str]) -> str:
        return f" {self._comma} ".join(parts) or NOTHING

    def _object(self, schema: dict[str, Any], place: str) -> str:
        named = schema.get("properties", {})
        other = schema.get("additionalProperties", not named and not schema.get("required"))
        if not named and other is not False:
            return self._map(schema, other, place)
        if other is not False and "additionalProperties" in schema:
            raise self._error("other names beside these cannot be said", f"{place}/additionalProperties")
        required = schema.get("required", [])
        if schema.get("additionalProperties") is False and not named.keys() >= set(required):
            raise self._error("asks for names that it forbids", f"{place}/required")
        properties = {**named, **{name: True for name in required if name not in named}}
        members = [
            (
                f"{_name(name)} {self._colon} {self._value(inner, f'{place}/properties/{name}')}",
                name in required,
            )
            for name, inner in properties.items()
            if inner is not False or name in required
        ]
        needed = any(is_required for _, is_required in members)
        return self._enclosed("{", self._members(members), "}", may_be_empty=not needed)

    def _members(self, members: list[tuple[str, bool]]) -> str:
        """In this order; those that are not required may be missing. Made from the end, such that commas are
        outside of what can be chosen: llama.cpp follows every choice at once."""
        rest, after, is_needed = "", NOTHING, False
        for member, is_required in reversed(members):
            here = f"{self._rules.part('member', member)} {after}"
            rest = self._rules.part("members", f"{here} | {rest}" if rest and not is_required else here)
            is_needed = is_needed or is_required
            after = self._rules.part("more", f"{self._comma} {rest}{'' if is_needed else f' | {NOTHING}'}")
        if not rest:
            return NOTHING
        return rest if is_needed else f"{rest}?"

    def _map(self, schema: dict[str, Any], other: Any, place: str) -> str:
        if schema.get("required"):
            raise self._error("names that are not described cannot be asked for", f"{place}/required")
        value = self._value(other, f"{place}/additionalProperties")
        member = self._rules.part("member", f"{text.string(self._rules)} {self._colon} {value}")
        return self._enclosed("{", f"({member} ({self._comma} {member})*)?", "}", may_be_empty=True)

    def _array(self, schema: dict[str, Any], place: str) -> str:
        least, most = self._bounds(schema, "Items", place)
        first = [
            self._value(each, f"{place}/prefixItems/{i}")
            for i, each in enumerate(schema.get("prefixItems", []))
        ]
        items = schema.get("items", True)
        if items is False:
            most = min(len(first), len(first) if most is None else most)
        if most is not None and most < least:
            raise self._error("nothing fits it", place)
        found = NOTHING
        if items is not False and (most is None or most > len(first)):
            item = self._value(items, f"{place}/items")
            found = self._items(item, len(first), least, most, place)
        for i, each in reversed(list(enumerate(first))):
            if most is not None and i >= most:
                continue
            here = f"{self._comma} {each}" if i else each
            found = f"{here} {found}" if i < least else f"({here} {found})?"
        return self._enclosed("[", found, "]", may_be_empty=least == 0)

    def _items(self, item: str, before: int, least: int, most: int | None, place: str) -> str:
        """Items behind `before` others."""
        left = None if most is None else most - before
        if before:
            again = f"{self._comma} {item}"
            return self._rules.repeated(again, max(0, least - before), left, f"{self._where}{place}")
        again = self._rules.repeated(
            f"{self._comma} {item}",
            max(0, least - 1),
            None if left is None else left - 1,
            f"{self._where}{place}",
        )
        return f"{item} {again}" if least else f"({item} {again})?"

    # -- the other kinds -----------------------------------------------------------------------------------

    def _bounds(self, schema: dict[str, Any], what: str, place: str) -> tuple[int, int | None]:
        for word in (f"min{what}", f"max{what}"):
            value = schema.get(word, 0)
            if not isinstance(value, int) or isinstance(value, bool) or value < 0:
                raise self._error(f"expected a count, found {value!r}", f"{place}/{word}")
        return schema.get(f"min{what}", 0), schema.get(f"max{what}")

    def _string(self, schema: dict[str, Any], place: str) -> str:
        least, most = self._bounds(schema, "Length", place)
        if "pattern" in schema:
            if least or most is not None:
                raise self._error("a length beside it cannot be said", f"{place}/pattern")
            return in_string(schema["pattern"], f"{self._where}{place}/pattern", self._rules)
        if not least and most is None:
            return text.string(self._rules)
        if most is not None and most < least:
            raise self._error("nothing fits it", place)
        one = text.character(self._rules)
        many = self._rules.repeated(one, least, most, f"{self._where}{place}")
        return f"{text.quote()} {many} {text.quote()}"

    def _number_of(self, schema: dict[str, Any], place: str) -> str:
        minimum = schema.get("minimum")
        if minimum not in (None, 0):
            raise self._error("of numbers that are not whole, no bound but 0 can be said", f"{place}/minimum")
        sign = '"-"? ' if minimum is None else ""
        return self._rules.part("number", f"{sign}{numbers.WHOLE} {numbers.REST}")

    def _integer(self, schema: dict[str, Any], place: str) -> str:
        for word in _WORDS["integer"] & schema.keys():
            if not isinstance(schema[word], (int, float)) or isinstance(schema[word], bool):
                raise self._error(f"expected a number, found {schema[word]!r}", f"{place}/{word}")
            if abs(schema[word]) > _LARGEST:
                raise self._error(f"no bounds beyond {_LARGEST:.0e} can be said", f"{place}/{word}")
        low = [math.ceil(schema["minimum"])] if "minimum" in schema else []
        low += [math.floor(schema["exclusiveMinimum"]) + 1] if "exclusiveMinimum" in schema else []
        high = [math.floor(schema["maximum"])] if "maximum" in schema else []
        high += [math.ceil(schema["exclusiveMaximum"]) - 1] if "exclusiveMaximum" in schema else []
        if not low and not high:
            return self._rules.part("number", f'"-"? {numbers.WHOLE}')
        found = numbers.between(max(low, default=None), min(high, default=None))
        if found is None:
            raise self._error("nothing fits it", place)
        return self._rules.part("number", found)


def _is_a(value: Any, kind: str) -> bool:
    """Whether a value is of a type of JSON Schema's."""
    match kind:
        case "integer":
            return isinstance(value, (int, float)) and not isinstance(value, bool) and value == int(value)
        case "number":
            return isinstance(value, (int, float)) and not isinstance(value, bool)
    kinds = {"object": dict, "array": list, "string": str, "boolean": bool, "null": type(None)}
    return isinstance(value, kinds.get(kind, ()))


def _are_apart(choices: list[Any]) -> bool:
    """Whether no value fits two of them, as far as their types tell."""
    kinds = [choice.get("type") if isinstance(choice, dict) else None for choice in choices]
    both = {"integer", "number"} <= set(map(str, kinds))
    return all(isinstance(kind, str) for kind in kinds) and len(set(kinds)) == len(kinds) and not both


def _json(value: Any) -> str:
    """As JSON; what could be taken for a control token is escaped."""
    written = json.dumps(value, ensure_ascii=False)
    return text.SPELLED.sub(lambda marker: "\\u003c" + marker[0][1:], written)


def _name(name: str) -> str:
    return quoted(_json(name))
