"""Declarations that say what the schema says: the native API's style.

Byte for byte the upstream style wherever that loses nothing. Beyond it: `anyOf`, `allOf`, `$ref` with
cycles, `const`, every `enum`, `null`, lists of types with their keywords, tuples, free-form objects, index
signatures, unions in arrays in parentheses, quoted keys, escaped literals, examples of every type, and
each description once: above its key, or behind its alternative.
"""

from __future__ import annotations

from itertools import chain
from typing import Any, Final

from harmony_py.chat.typescript.references import References
from harmony_py.chat.typescript.text import (
    Json,
    block_comment,
    comment,
    literal,
    on_one_line,
    property_key,
    trailing_comment,
)
from harmony_py.chat.typescript.upstream import (
    MAX_DEPTH,
    PRIMITIVES,
    UpstreamWriter,
    described,
    has_enum,
    is_nullable,
)

_NAMES: Final = {**PRIMITIVES, "null": "null"}
_VAGUE: Final = frozenset({"any", "object", "Array<any>", *_NAMES.values()})
"""Types that a keyword beside them outdoes, as in `{"type": "string", "anyOf": [{"const": "a"}]}`."""

_COMBINATORS: Final = frozenset({"$ref", "allOf", "anyOf", "oneOf"})
_HOLDERS: Final = _COMBINATORS | {"prefixItems", "items", "additionalProperties"}
_STRUCTURE: Final = frozenset(
    {"$ref", "allOf", "const", "enum", "items", "prefixItems"}
    | {"properties", "patternProperties", "additionalProperties"}
)
"""Keywords that a union beside them does not replace."""


class ExtendedWriter(UpstreamWriter):
    """JSON Schema to TypeScript without loss; one writer for one tool."""

    def __init__(self, root: Json) -> None:
        super().__init__()
        self._root = root
        self._references = References(root)

    def parameters(self) -> str:
        """The type of the tool's argument."""
        text = self.type_of(self._root, "")
        return "{\n}" if text == "object" else text

    def notes(self) -> list[str]:
        """What the schema says of the argument as a whole; it belongs above the declaration."""
        return self._descriptions(self._root)

    def type_of(self, schema: Json, indent: str) -> str:
        if variants := self._listed_variants(schema):
            self._enter()
            text = self._one_of(variants, indent)
            self._depth -= 1
            return text
        name = schema.get("$ref") if isinstance(schema, dict) else None
        if isinstance(name, str) and _only_constraint(schema, "$ref"):
            with self._references.entered(name) as (target, note):
                return block_comment("any", note) if note else self.type_of(target, indent)
        return " | ".join(self._members(schema, indent))

    # -- unions and intersections --------------------------------------------------------------------------

    def _members(self, schema: Json, indent: str) -> list[str]:
        """The members of the union that `schema` describes; most schemas are a union of one."""
        if not isinstance(schema, dict):
            return ["never" if schema is False else "any"]
        self._enter()
        if schema.keys().isdisjoint(_COMBINATORS):
            members = self._own_members(schema, indent) or ["any"]
        else:
            members = self._combined(schema, indent)
        self._depth -= 1
        return [*members, "null"] if is_nullable(schema) and "null" not in members else members

    def _combined(self, schema: dict[str, Json], indent: str) -> list[str]:
        constraints = [self._own_members(schema, indent)]
        if isinstance(name := schema.get("$ref"), str):
            constraints.append(self._referenced(name, indent))
        constraints += [self._members(part, indent) for part in _schemas(schema, "allOf")]
        for keyword in ("anyOf", "oneOf"):
            found = [self._members(variant, indent) for variant in _schemas(schema, keyword)]
            constraints.append(list(dict.fromkeys(chain.from_iterable(found))))
        return _intersection([constraint for constraint in constraints if constraint])

    def _referenced(self, name: str, indent: str) -> list[str]:
        with self._references.entered(name) as (target, note):
            return [block_comment("any", note)] if note else self._members(target, indent)

    def _listed_variants(self, schema: Json) -> list[Json]:
        """The variants if they take a line each: those of `oneOf`, and of an `anyOf` that describes them."""
        if not isinstance(schema, dict) or schema.keys().isdisjoint(_COMBINATORS):
            return []
        if (variants := _schemas(schema, "oneOf")) and _only_constraint(schema, "oneOf"):
            return self._with_null(schema, variants)
        variants = _schemas(schema, "anyOf")
        told = not _is_one_or_null(variants) and any(map(self._notes_on, variants))
        return self._with_null(schema, variants) if told and _only_constraint(schema, "anyOf") else []

    def _with_null(self, schema: dict[str, Json], variants: list[Json]) -> list[Json]:
        return [*variants, _NULL] if is_nullable(schema) and _NULL not in variants else variants

    def _notes_on(self, variant: Json) -> list[str]:
        return self._descriptions(variant) + self._default(variant)

    # -- what a schema says apart from its combinators -----------------------------------------------------

    def _own_members(self, schema: dict[str, Json], indent: str) -> list[str]:
        if "const" in schema:
            return [literal(schema["const"])]
        if has_enum(schema):
            return [literal(value) for value in schema["enum"]]
        kinds = schema.get("type", _implied_type(schema))
        if not isinstance(kinds, list):
            return self._kind(kinds, "any", schema, indent)
        return [text for kind in kinds for text in self._kind(kind, kind, schema, indent)]

    def _kind(self, kind: Json, unknown: Any, schema: dict[str, Json], indent: str) -> list[str]:
        if kind == "object":
            return [self._object(schema, indent)]
        if kind == "array":
            return [self._array(schema, indent)]
        return [on_one_line(_NAMES.get(kind, unknown))] if isinstance(kind, str) else []

    def _array(self, schema: dict[str, Json], indent: str) -> str:
        leading = schema.get("prefixItems", schema.get("items"))
        if isinstance(leading, list):
            return self._tuple(leading, schema, indent)
        return self._elements(schema["items"], indent) if "items" in schema else "Array<any>"

    def _tuple(self, leading: list[Json], schema: dict[str, Json], indent: str) -> str:
        rest = schema.get("items" if "prefixItems" in schema else "additionalItems", False)
        members = [" | ".join(self._members(item, indent)) for item in leading]
        if rest is not False and schema.get("maxItems") != len(leading):
            members.append(f"...{self._elements(rest, indent)}")
        return f"[{', '.join(members)}]"

    def _elements(self, items: Json, indent: str) -> str:
        variants = self._listed_variants(items)
        if any(map(self._notes_on, variants)):
            return f"({self._one_of(variants, indent)}\n{indent})[]"
        members = self._members(items, indent)
        return f"{members[0]}[]" if len(members) == 1 else f"({' | '.join(members)})[]"

    # -- objects -------------------------------------------------------------------------------------------

    def _object(self, schema: dict[str, Json], indent: str) -> str:
        required = [name for name in _schemas(schema, "required") if isinstance(name, str)]
        # A required key that is no property may hold anything.
        members = {**_mapping(schema, "properties"), **dict.fromkeys(required, True)}
        members.update(_mapping(schema, "properties"))
        signatures = self._index_signatures(schema, indent)
        if not members and len(signatures) == 1:
            return f"{{ {signatures[0]} }}"
        if not members and not signatures and not {"properties", "additionalProperties"} & schema.keys():
            return "object"
        lines = ["{"]
        for name, value in members.items():
            key = property_key(name) + ("" if name in required else "?")
            lines += self._property(key, value, indent)
        return "\n".join([*lines, *(f"{indent}{signature}," for signature in signatures), f"{indent}}}"])

    def _index_signatures(self, schema: dict[str, Json], indent: str) -> list[str]:
        """What keys other than the properties may hold."""
        values = {
            f"[key: {block_comment('string', pattern)}]": value
            for pattern, value in _mapping(schema, "patternProperties").items()
        }
        if (value := schema.get("additionalProperties", False)) is not False:
            names = self._members(schema.get("propertyNames", True), indent)
            listed = all(name.startswith('"') for name in names)
            values[f"[key in {' | '.join(names)}]" if listed else "[key: string]"] = value
        return [f"{key}: {self.type_of(value, indent + '    ')}" for key, value in values.items()]

    def _property(self, key: str, schema: Json, indent: str) -> list[str]:
        whole = self._references.resolved(schema)
        whole = whole if isinstance(whole, dict) else {}
        variants = self._listed_variants(schema)
        lines = self._title(whole, indent)
        if not variants:
            lines += [comment(note, indent) for note in self._descriptions(schema)]
        lines += self._examples(whole, indent)
        if variants:
            return lines + self._union_property(key, whole, variants, indent)
        text = self.type_of(schema, indent + "    ")
        return [*lines, f"{indent}{key}: {text},{trailing_comment(self._default(schema), indent)}"]

    # -- comments and literals -----------------------------------------------------------------------------

    def _descriptions(self, schema: Json) -> list[str]:
        """The schema's own, and those of what it holds that have no place of their own to stand in."""
        found: list[str] = []
        parts = [schema]
        for _ in range(MAX_DEPTH):  # references may lead in a circle
            if not parts:
                break
            part = self._references.resolved(parts.pop(0))
            found += [note for note in described(part) if note not in found]
            if isinstance(part, dict):
                parts += self._parts(part)
        return found

    def _parts(self, schema: dict[str, Json]) -> list[Json]:
        if schema.keys().isdisjoint(_HOLDERS):
            return []
        parts = [*_schemas(schema, "allOf"), *_schemas(schema, "prefixItems")]
        parts += [schema.get("items"), schema.get("additionalProperties")]
        for keyword in ("anyOf", "oneOf"):
            variants = _schemas(schema, keyword)
            # Several variants take a line each, with what is to be said of them behind it.
            if _is_one_or_null(variants) or not _only_constraint(schema, keyword):
                parts += variants
        return parts

    def _own_description(self, schema: Json, variants: list[Json]) -> list[str]:
        return described(schema)

    def _is_told(self, variant: Json, index: int, own: list[str]) -> bool:
        return bool(own) and own == self._descriptions(variant)

    def _examples(self, schema: dict[str, Json], indent: str) -> list[str]:
        listed = [f"{indent}// - {literal(example)}" for example in _schemas(schema, "examples")]
        return [f"{indent}// Examples:", *listed] if listed else []

    def _default(self, schema: Json) -> list[str]:
        return super()._default(self._references.resolved(schema))

    def _or_null(self, schema: Json, text: str) -> str:
        return text  # `null` is a member like any other here

    def _text(self, value: str) -> str:
        return literal(value)

    def _json(self, value: Json) -> str:
        return literal(value)


_NULL: Final = {"type": "null"}


def _schemas(schema: dict[str, Json], keyword: str) -> list[Json]:
    value = schema.get(keyword)
    return value if isinstance(value, list) else []


def _mapping(schema: dict[str, Json], keyword: str) -> dict[str, Json]:
    value = schema.get(keyword)
    return value if isinstance(value, dict) else {}


def _is_one_or_null(variants: list[Json]) -> bool:
    return len([variant for variant in variants if variant != _NULL]) == 1


def _only_constraint(schema: dict[str, Json], keyword: str) -> bool:
    """Whether the type is all in `keyword`; a bare `type` beside it says nothing more."""
    others = [
        name for name in (*_STRUCTURE, "anyOf", "oneOf") if name != keyword and schema.get(name, []) != []
    ]
    return not others and not (keyword == "$ref" and is_nullable(schema))


def _implied_type(schema: dict[str, Json]) -> str | None:
    if {"properties", "additionalProperties", "patternProperties", "required"} & schema.keys():
        return "object"
    return "array" if {"items", "prefixItems"} & schema.keys() else None


def _intersection(constraints: list[list[str]]) -> list[str]:
    """The members that meet all constraints, each of which is a union."""
    precise = [constraint for constraint in constraints if not _VAGUE.issuperset(constraint)]
    if len(precise) == 1:
        return precise[0]
    if precise:
        sides = [f"({' | '.join(side)})" if len(side) > 1 else side[0] for side in precise]
        return [f"({' & '.join(sides)})"]
    return next((constraint for constraint in constraints if constraint != ["any"]), ["any"])
